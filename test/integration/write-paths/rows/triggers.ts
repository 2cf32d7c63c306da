import { Gallery, Photo } from '../entities/places';
import { group, type World } from '../write-path';

export const DROP = 'DROP TRIGGER IF EXISTS changes ON photo; DROP FUNCTION IF EXISTS change()';

/** A trigger for inserts of photos; `DROP` takes it away. */
async function addTrigger({ manager }: World, when: 'BEFORE' | 'AFTER', body: string): Promise<void> {
  await manager.query(`CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} END $$`);
  await manager.query(`CREATE TRIGGER changes ${when} INSERT ON photo FOR EACH ROW EXECUTE FUNCTION change()`);
  // The tables are looked at again now, which is no part of the write.
  await manager.delete(Photo, { id: -1 });
}

/** Two galleries, by key. */
export async function galleries({ manager }: World): Promise<[number, number]> {
  const [one, two] = await manager.save([manager.create(Gallery), manager.create(Gallery)]);
  return [one?.id ?? 0, two?.id ?? 0];
}

/** For each photo of one gallery the database adds one to the other. */
export async function addOtherPhotos(world: World, one: number, other: number): Promise<void> {
  const guard = `IF NEW."galleryId" = ${one} THEN INSERT INTO photo ("galleryId") VALUES (${other}); END IF;`;
  await addTrigger(world, 'AFTER', `${guard} RETURN NULL;`);
}

export const SEEN_TRIGGERS = group('Triggers', [
  {
    name: 'a `BEFORE` trigger that changes the row',
    captured: ['returned rows'],
    run: async (world) => {
      const [one, two] = await galleries(world);
      await addTrigger(world, 'BEFORE', `NEW."galleryId" = ${two}; RETURN NEW;`);
      return () => world.manager.insert(Photo, { galleryId: one });
    },
    undo: ({ manager }) => manager.query(DROP),
  },
  {
    name: 'a `BEFORE` trigger that drops the row',
    captured: ['returned rows'],
    run: async (world) => {
      const [one] = await galleries(world);
      await addTrigger(world, 'BEFORE', 'RETURN NULL;');
      return () => world.manager.createQueryBuilder().insert().into(Photo).values({ galleryId: one }).execute();
    },
    undo: ({ manager }) => manager.query(DROP),
  },
]);
