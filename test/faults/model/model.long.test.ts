import { type RedisServer, startRedis } from '../../support/services';
import { IS_FULL } from '../load/form';
import { explore } from './explore';
import { told } from './form';
import { RedisStates } from './redis-states';
import { LARGE, SMALL } from './scenarios';
import type { Scenario } from './scenario';

let server: RedisServer;
let redis: RedisStates;

beforeAll(async () => {
  server = await startRedis();
  redis = await RedisStates.open(server.url);
});
afterAll(async () => {
  redis.close();
  await server.stop();
});

/** `MODEL='[{"writers":2,"crashes":2}]'` explores these instead. */
const GIVEN = process.env['MODEL'];
const SCENARIOS = GIVEN === undefined ? [...SMALL, ...(IS_FULL ? LARGE : [])] : (JSON.parse(GIVEN) as Scenario[]);

describe('I1, I3, I6: every interleaving comes to rest with right columns', () => {
  test.each(SCENARIOS.map((scenario) => [JSON.stringify(scenario), scenario] as const))(
    '%s',
    async (name, scenario) => {
      const { wrong, quiet } = await told(name, redis, () => explore(scenario, redis));
      expect(wrong).toBeNull();
      expect(quiet).toBeGreaterThan(0);
    },
    600_000,
  );
});
