import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** A store that users follow. */
@Entity()
export class Store {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column()
  name!: string;

  @Column({ default: 0 })
  followersCount!: number;
}
