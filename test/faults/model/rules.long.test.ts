import { type RedisServer, startRedis } from '../../support/services';
import { IS_FULL } from '../load/form';
import { explore } from './explore';
import { told } from './form';
import { RedisStates } from './redis-states';
import { RULES } from './rules';

let server: RedisServer;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => {
  await server.stop();
});

describe('every rule is needed: without it a quiet state is wrong', () => {
  test.each(RULES.filter(({ isLarge }) => IS_FULL || isLarge !== true).map((rule) => [rule.name, rule] as const))(
    '%s',
    async (name, { patch, callers, scenario }) => {
      const redis = await RedisStates.open(server.url, patch === undefined ? [] : [patch]);
      try {
        const without = callers === undefined ? scenario : { ...scenario, without: callers };
        const { wrong } = await told(`without "${name}"`, redis, () => explore(without, redis));
        expect(wrong).not.toBeNull();
      } finally {
        redis.close();
      }
    },
    600_000,
  );
});
