import { Column, type DataSource, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache, Counters, type CountersOptions } from 'typeorm-counter-cache';

import { newDataSource, TEST_OPTIONS } from '../support/setup';

@Entity('author')
export class CountedAuthor {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) postsCount!: number;
}

@Entity('post')
@CounterCache<CountedPost, CountedAuthor>({ relation: 'author', column: 'postsCount' })
export class CountedPost {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => CountedAuthor) author!: Relation<CountedAuthor>;
}

@Entity('author')
export class LikedAuthor {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) likesSum!: number;
}

@Entity('post')
@CounterCache<LikedPost, LikedAuthor>({ relation: 'author', column: 'likesSum', incrementBy: 'likes' })
export class LikedPost {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) likes!: number;
  @ManyToOne(() => LikedAuthor) author!: Relation<LikedAuthor>;
}

/** A process of a service, played by this one. */
export interface Service {
  readonly counters: Counters;
  readonly dataSource: DataSource;
  readonly errors: readonly unknown[];
  close(): Promise<void>;
}

/** Starts a service with a worker, on a database that is there. */
export async function startService(
  databaseUrl: string,
  entities: Parameters<typeof newDataSource>[1],
  options: Partial<CountersOptions> & Pick<CountersOptions, 'redis'>,
): Promise<Service> {
  const dataSource = newDataSource(databaseUrl, entities, { synchronize: false });
  const counters = await Counters.attach(dataSource, { ...TEST_OPTIONS, ...options });
  const errors: unknown[] = [];
  counters.on('error', (error) => void errors.push(error));
  await dataSource.initialize();
  await counters.startWorker();
  return {
    counters,
    dataSource,
    errors,
    async close() {
      await counters.close();
      await dataSource.destroy();
    },
  };
}
