import {
  Column,
  type DataSource,
  type EntityManager,
  Entity,
  JoinColumn,
  ManyToOne,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache, Counters, type CountersOptions } from 'typeorm-counter-cache';

import { execute } from '../../support/database';
import { redisUrl } from '../../support/redis';
import { type Fixture, newDataSource, setup, type SetupOptions, TEST_OPTIONS } from '../../support/setup';

@Entity()
export class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column() tenant!: string;
  @Column({ default: 0 }) postsCount!: number;
}

@Entity()
export class Category {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) postsCount!: number;
}

@Entity()
@CounterCache<Post, Author>({ relation: 'author', column: 'postsCount' })
@CounterCache<Post, Category>({ relation: 'category', column: 'postsCount' })
export class Post {
  @PrimaryGeneratedColumn() id!: number;
  @Column() tenant!: string;
  @Column({ type: 'integer', nullable: true }) authorId!: number | null;
  @ManyToOne(() => Author, { nullable: true, onDelete: 'CASCADE' })
  @JoinColumn({ name: 'authorId' })
  author!: Relation<Author> | null;
  @Column({ type: 'integer', nullable: true }) categoryId!: number | null;
  @ManyToOne(() => Category, { nullable: true, onDelete: 'SET NULL' })
  @JoinColumn({ name: 'categoryId' })
  category!: Relation<Category> | null;
}

export const ENTITIES = [Author, Category, Post];

/** The library's own tables, as statements name them. */
export const OWN_TABLES = 'counter_cache_state, counter_cache_shard, counter_cache_ledger, counter_cache_outbox';

/** A database of a superuser, in which other roles write and work. */
export interface World extends Fixture {
  /** Makes roles that may log in. */
  roles(...names: string[]): Promise<void>;
  /** The name of a role in the cluster. */
  nameOf(role: string): string;
  /** Runs SQL as the superuser; `:name` stands for the role of that name. */
  sql(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Counters of a process that connects as a role. */
  attach(name: string, options?: Partial<CountersOptions>): Promise<Member>;
}

/** A process of one role. */
export interface Member {
  readonly dataSource: DataSource;
  readonly counters: Counters;
  readonly errors: unknown[];
}

/** A database with tables, and no counters attached. */
export async function openWorld(
  server: string,
  entities: NonNullable<SetupOptions['entities']> = ENTITIES,
): Promise<World> {
  const fixture = await setup({ entities, server });
  await fixture.counters.close();
  const url = new URL(fixture.databaseUrl);
  const roles = new Set<string>();
  const members: Member[] = [];
  const nameOf = (name: string): string => `${url.pathname.slice(1)}_${name}`;
  const sql: World['sql'] = (text, values) =>
    execute(
      fixture.databaseUrl,
      text.replaceAll(/(?<!:):([a-z]+)\b/g, (_, name: string) => nameOf(name)),
      values,
    );
  return {
    ...fixture,
    sql,
    nameOf,
    async roles(...names) {
      for (const name of names) {
        await sql(`CREATE ROLE :${name} LOGIN PASSWORD 'secret'`);
        roles.add(nameOf(name));
      }
    },
    async attach(name, options = {}) {
      const own = new URL(fixture.databaseUrl);
      [own.username, own.password] = [nameOf(name), 'secret'];
      const dataSource = newDataSource(own.href, entities, { synchronize: false, poolSize: 4 });
      const counters = await Counters.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS, ...options });
      const member: Member = { dataSource, counters, errors: [] };
      members.push(member);
      counters.on('error', (error) => member.errors.push(error));
      await dataSource.initialize();
      return member;
    },
    async close() {
      for (const { counters, dataSource } of members) {
        await counters.close();
        if (dataSource.isInitialized) await dataSource.destroy();
      }
      await fixture.close();
      for (const role of roles) await execute(server, `DROP ROLE ${role}`);
    },
  };
}

/** Runs `work` in a transaction of a tenant. */
export function asTenant<T>(
  { dataSource }: Pick<Member, 'dataSource'>,
  tenant: string,
  work: (manager: EntityManager) => Promise<T>,
): Promise<T> {
  return dataSource.transaction(async (manager) => {
    await manager.query(`SELECT set_config('app.tenant', $1, true)`, [tenant]);
    return work(manager);
  });
}

/** Lets a tenant see and change the rows of its own, and nobody else any. */
export function secure(table: string): string {
  return `ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY;
    CREATE POLICY tenants ON ${table} USING (tenant = current_setting('app.tenant', true))`;
}
