import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

@Entity()
export class Depot {
  @PrimaryColumn() id!: number;
  @Column({ default: 0 }) total!: number;
  @Column({ default: 0 }) open!: number;
}

@Entity()
@CounterCache<Parcel, Depot>({ relation: 'depot', column: 'total', incrementBy: 'weight' })
@CounterCache<Parcel, Depot>({
  relation: 'depot',
  column: 'open',
  where: { closed: false },
  incrementBy: ({ weight }) => {
    if (weight < 0) throw new Error('a parcel weighs something');
    return 1;
  },
})
export class Parcel {
  @PrimaryColumn() id!: number;
  @Column() weight!: number;
  @Column({ default: false }) closed!: boolean;
  @Column() depotId!: number;
  @ManyToOne(() => Depot) @JoinColumn({ name: 'depotId' }) depot!: Relation<Depot>;
}
