import type { DataSource } from 'typeorm';

import { ConfigurationError } from '../errors';
import { counterCacheEntities } from '../dialects/postgres/installation/tables';

/** Marks a DataSource that has counters; a symbol that two copies of this package share. */
const ATTACHED = Symbol.for('typeorm-counter-cache.attached');

type Attachable = DataSource & { [ATTACHED]?: Attached; buildMetadatas(): Promise<void> };

/** Counters on a DataSource. */
export interface Attached {
  /** Lets go of it, if they are closed: others take their place. */
  readonly giveWay: () => boolean;
}

/** What to do in the course of a DataSource's life. */
export interface Lifecycle {
  /** Whenever metadata have been built: before migrations and `synchronize`; what it throws fails `initialize()`. */
  readonly onMetadata: () => void;
  /** Whenever the DataSource is initialized, its migrations included; what it throws fails `initialize()`. */
  readonly onInitialized: () => Promise<void>;
  /** Whenever the DataSource is about to be destroyed. */
  readonly onDestroy: () => Promise<void>;
  /** Whether others may take the place of these counters on the DataSource: they have left it then. */
  readonly giveWay: () => boolean;
}

/**
 * Ties the library to a DataSource's life, whether it is initialized already or will be, once or again and again.
 *
 * @returns a function that unties it
 */
export async function attachTo(
  dataSource: DataSource,
  { onMetadata, onInitialized, onDestroy, giveWay }: Lifecycle,
): Promise<() => void> {
  const attachable = dataSource as Attachable;
  if (attachable[ATTACHED] !== undefined && !gaveWay(attachable[ATTACHED])) {
    throw new ConfigurationError([
      'this DataSource has counters already: attach once, and close() before attaching again',
    ]);
  }
  const unwrap = wrapLifecycle(attachable, { onMetadata, onInitialized, onDestroy });
  const attached: Attached = { giveWay };
  const detach = () => {
    if (attachable[ATTACHED] !== attached) return;
    unwrap();
    delete attachable[ATTACHED];
  };
  attachable[ATTACHED] = attached;
  try {
    if (dataSource.isInitialized) {
      onMetadata();
      await onInitialized();
    } else {
      addEntities(dataSource);
    }
  } catch (error) {
    detach();
    throw error;
  }
  return detach;
}

function wrapLifecycle(
  attachable: Attachable,
  { onMetadata, onInitialized, onDestroy }: Omit<Lifecycle, 'giveWay'>,
): () => void {
  // TypeORM calls this inside initialize(), each time: after it `subscribers` is a new array, and metadata are new.
  const buildMetadatas = attachable.buildMetadatas.bind(attachable);
  const initialize = attachable.initialize.bind(attachable);
  const destroy = attachable.destroy.bind(attachable);
  attachable.buildMetadatas = async () => {
    await buildMetadatas();
    onMetadata();
  };
  attachable.initialize = async () => {
    await initialize();
    await onInitialized().catch((error: unknown) => destroyAndThrow(attachable, error));
    return attachable;
  };
  attachable.destroy = async () => {
    await onDestroy();
    await destroy();
  };
  return () => {
    for (const name of ['buildMetadatas', 'initialize', 'destroy']) Reflect.deleteProperty(attachable, name);
  };
}

/** `true` stands for counters of an older copy of this package, which never do. */
function gaveWay(attached: Attached | true): boolean {
  return attached !== true && attached.giveWay();
}

/** As TypeORM does when initialize() fails: no pool stays open behind the error. */
async function destroyAndThrow(dataSource: DataSource, error: unknown): Promise<never> {
  await dataSource.destroy();
  throw error;
}

/** Our own tables join the DataSource, so that `synchronize` and `migration:generate` see them. */
function addEntities(dataSource: DataSource): void {
  const given = dataSource.options.entities ?? [];
  const entities = Array.isArray(given) ? given : Object.values(given as Record<string, unknown>);
  const missing = counterCacheEntities.filter((entity) => !entities.includes(entity));
  dataSource.setOptions({ entities: [...entities, ...missing] as never });
}
