import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

/** A target whose key the application chooses. */
@Entity()
export class Country {
  @PrimaryColumn({ type: 'text' }) code!: string;
  @Column({ default: '' }) name!: string;
  @Column({ default: 0 }) citiesCount!: number;
}

@Entity()
export class Continent {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) northernCount!: number;
}

/** The database changes its country's code with the country's, and a counter looks at that code. */
@Entity()
@CounterCache<City, Country>({ relation: 'country', column: 'citiesCount', recalculation: false })
@CounterCache<City, Continent>({
  relation: 'continent',
  column: 'northernCount',
  where: { countryCode: 'north' },
  recalculation: false,
})
export class City {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'text' }) countryCode!: string;
  @ManyToOne(() => Country, { onUpdate: 'CASCADE' }) @JoinColumn({ name: 'countryCode' }) country!: Relation<Country>;
  @ManyToOne(() => Continent) continent!: Relation<Continent> | null;
}

@Entity()
export class Region {
  @PrimaryColumn({ type: 'text' }) code!: string;
  @Column({ default: 0 }) shopsCount!: number;
}

/** Its foreign key is made by SQL, unknown to TypeORM. */
@Entity()
@CounterCache<Shop, Region>({ relation: 'region', column: 'shopsCount', recalculation: false })
export class Shop {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'text', default: 'nowhere' }) regionCode!: string;
  @ManyToOne(() => Region, { createForeignKeyConstraints: false })
  @JoinColumn({ name: 'regionCode' })
  region!: Relation<Region>;
}

@Entity()
export class Gallery {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) photosCount!: number;
}

/** Rows may have triggers. */
@Entity()
@CounterCache<Photo, Gallery>({ relation: 'gallery', column: 'photosCount', recalculation: false })
export class Photo {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'integer', nullable: true }) galleryId!: number | null;
  @ManyToOne(() => Gallery) @JoinColumn({ name: 'galleryId' }) gallery!: Relation<Gallery> | null;
}
