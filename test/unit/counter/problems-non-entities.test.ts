import { Column, Entity, EntitySchema } from 'typeorm';

import { defineCounterCache } from '../../../src/declare/decorator';
import { problemsOf } from './blog';

const counted = { relation: 'author', column: 'postsCount' } as const;

// In a file of their own: such classes stay known to the process, and are reported from then on.
describe('a class that is no entity is refused', () => {
  it('with the reason', async () => {
    class Plain {
      id!: number;
    }
    abstract class Base {
      @Column() id!: number;
    }
    class Meta {
      @Column() a!: number;
    }
    @Entity()
    class Concrete extends Base {
      @Column({ primary: true }) key!: number;
      @Column(() => Meta) meta!: Meta;
    }
    abstract class Elsewhere {
      id!: number;
    }
    @Entity()
    class Other extends Elsewhere {
      @Column({ primary: true }) key!: number;
    }
    for (const declared of [Plain, Base, Meta, Elsewhere, Other])
      defineCounterCache(declared as typeof Plain, counted as never);
    expect(await problemsOf([Concrete])).toEqual([
      'Plain: expected @CounterCache on an entity, got: a class without @Entity. Add @Entity, or remove the counter',
      'Base: expected @CounterCache on an entity, got: a class that entities extend. Counters are not inherited: decorate Concrete',
      "Meta: expected @CounterCache on an entity, got: a class that is embedded. Decorate the entity that embeds it, with 'relation' as a path, e.g. 'meta.author'",
    ]);
  });

  it('unless a schema of this DataSource maps it', async () => {
    class Mapped {
      id!: number;
    }
    const schema = new EntitySchema<Mapped>({
      name: 'Mapped',
      target: Mapped,
      columns: { id: { type: 'int', primary: true } },
    });
    defineCounterCache(Mapped, { relation: 'nothing', column: 'nothing' } as never);
    const problems = await problemsOf([schema as never]);
    expect(problems).toContainEqual(expect.stringContaining("unknown relation 'nothing' of Mapped. It has none"));
    expect(problems).not.toContainEqual(expect.stringContaining('Mapped: expected @CounterCache on an entity'));
  });
});
