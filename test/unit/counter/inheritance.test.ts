import { ChildEntity, Column, Entity, ManyToOne, OneToMany, PrimaryColumn, TableInheritance } from 'typeorm';

import { defineCounterCache } from '../../../src/declare/decorator';
import { protectCounterColumns } from '../../../src/typeorm/protect';
import { resolveDefinitions } from '../../../src/declare/registry';
import { definitionsOf, metadataOnly } from './blog';

function hierarchy() {
  @Entity()
  @TableInheritance({ column: { name: 'kind', type: 'varchar' } })
  class Account {
    @PrimaryColumn() id!: number;
    @Column({ default: 0 }) sum!: number;
    @OneToMany(() => Item, 'account') items!: object[];
  }
  @ChildEntity()
  class Company extends Account {
    @Column({ default: 0 }) photos!: number;
  }
  @Entity()
  @TableInheritance({ column: { name: 'type', type: 'varchar' } })
  class Item {
    @PrimaryColumn() id!: number;
    @ManyToOne(() => Account) account!: object;
  }
  @ChildEntity()
  class Photo extends Item {
    @ManyToOne(() => Company) company!: object;
  }
  @ChildEntity('pano')
  class Panorama extends Photo {}
  @ChildEntity()
  class Video extends Item {}
  return { Account, Company, Item, Photo, Panorama, Video, entities: [Account, Company, Item, Photo, Panorama, Video] };
}

describe('single-table inheritance', () => {
  it('counts all rows through the root, and those of a class and its descendants through the class', async () => {
    const { Item, Photo, Video, Panorama, entities } = hierarchy();
    defineCounterCache(Item, { relation: 'account', column: 'sum' });
    defineCounterCache(Photo, { relation: 'company', column: 'photos' });
    const { counters, countersOf, targetTables } = await definitionsOf(entities);
    expect(counters.map(({ discriminator }) => discriminator)).toEqual([
      null,
      { column: 'type', values: ['Photo', 'pano'] },
    ]);
    const fed = (target: unknown): number | undefined =>
      [...countersOf].find(([metadata]) => metadata.target === target)?.[1].length;
    expect([Item, Photo, Panorama, Video].map(fed)).toEqual([2, 2, 2, 1]);
    expect([...targetTables.keys()]).toEqual(['account:id']);
    expect(targetTables.get('account:id')?.metadata.name).toBe('Account');
  });

  it('protects the columns of every class of the table', async () => {
    const { Photo, entities } = hierarchy();
    defineCounterCache(Photo, { relation: 'company', column: 'photos' });
    const dataSource = await metadataOnly(entities);
    const flags = (): unknown[] =>
      dataSource.entityMetadatas.flatMap(({ columns, name }) =>
        columns
          .filter(({ databaseName }) => databaseName === 'photos')
          .map(({ isInsert, isUpdate }) => [name, isInsert, isUpdate]),
      );
    const before = flags();
    const undo = protectCounterColumns(resolveDefinitions(dataSource));
    expect(flags()).toEqual([
      ['Account', false, false],
      ['Company', false, false],
    ]);
    undo();
    undo();
    expect(flags()).toEqual(before);
    expect(before).toEqual([
      ['Account', true, true],
      ['Company', true, true],
    ]);
  });
});
