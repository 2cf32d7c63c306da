import type { DataSource } from 'typeorm';

import type { Random } from '../integration/oracle/random';
import { SLOW, SLOW_COMMIT, SLOW_STATEMENT, SOAK } from './settings';

/** A target that the database refuses to change. */
export interface BadRow {
  readonly entity: 'Team' | 'Club';
  readonly id: number;
  readonly errcode: string;
}

/** Two of a hundred targets of each kind, each with an error of its own. */
export function chooseBadRows(random: Random): readonly BadRow[] {
  const ids = Array.from({ length: SOAK.targets }, (_, i) => i + 1);
  const count = Math.max(1, Math.round(SOAK.targets / 50));
  const errcodes = random.shuffled(SOAK.errcodes);
  return (['Team', 'Club'] as const).flatMap((entity, kind) =>
    random
      .sample(ids, count)
      .map((id, i) => ({ entity, id, errcode: errcodes[(2 * i + kind) % errcodes.length] ?? '' })),
  );
}

export async function refuse(dataSource: DataSource, rows: readonly BadRow[]): Promise<void> {
  await dataSource.query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION '% % is not to be changed', TG_TABLE_NAME, OLD.id USING ERRCODE = TG_ARGV[0]; END $$`);
  for (const { entity, id, errcode } of rows)
    await dataSource.query(`CREATE TRIGGER refuse_${id} BEFORE UPDATE ON ${entity.toLowerCase()} FOR EACH ROW
      WHEN (OLD.id = ${id}) EXECUTE FUNCTION refuse('${errcode}')`);
}

/** Makes statements slow that write a certain number of goals, and the COMMIT behind those that write another. */
export async function slowDown(dataSource: DataSource): Promise<void> {
  await dataSource.query(`CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_sleep(${SLOW}); RETURN NEW; END $$`);
  await dataSource.query(`CREATE TRIGGER slow_insert AFTER INSERT ON player FOR EACH ROW
    WHEN (NEW.goals = ${SLOW_STATEMENT}) EXECUTE FUNCTION slowly()`);
  await dataSource.query(`CREATE TRIGGER slow_update AFTER UPDATE ON player FOR EACH ROW
    WHEN (NEW.goals = ${SLOW_STATEMENT} AND OLD.goals <> NEW.goals) EXECUTE FUNCTION slowly()`);
  await dataSource.query(`CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON player DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.goals = ${SLOW_COMMIT}) EXECUTE FUNCTION slowly()`);
  // Writers look for players of a team, as applications do.
  await dataSource.query('CREATE INDEX ON player ("teamId"); CREATE INDEX ON player ("clubId")');
}
