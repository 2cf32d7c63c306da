import { Redis } from 'ioredis';

import { RedisBuffer } from '../../../src/engines/buffered/redis/redis-buffer';
import { defineScripts } from '../../../src/engines/buffered/redis/scripts';
import { canonicalDump, type DumpedKey } from './canonical';
import type { Call, Json } from './calls';

/** A change of the library's Lua, by which one rule is left out. */
export interface Patch {
  /** Has to occur in some function. */
  readonly text: string;
  readonly by: string;
}

const RESTORE = `
redis.call('FLUSHDB')
for _, entry in ipairs(cjson.decode(ARGV[1])) do
  local key, kind, flat = unpack(entry)
  if kind == 'hash' then redis.call('HSET', key, unpack(flat))
  elseif kind == 'set' then redis.call('SADD', key, unpack(flat))
  elseif kind == 'list' then redis.call('RPUSH', key, unpack(flat))
  elseif kind == 'string' then redis.call('SET', key, flat[1])
  else for i = 1, #flat, 2 do redis.call('ZADD', key, flat[i + 1], flat[i]) end end
end
return 'OK'`;

const DUMP = `
local read = { hash = { 'HGETALL' }, set = { 'SMEMBERS' }, list = { 'LRANGE', 0, -1 }, zset = { 'ZRANGE', 0, -1, 'WITHSCORES' } }
local result = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  local command = read[kind]
  local flat = kind == 'string' and { redis.call('GET', key) } or redis.call(command[1], key, unpack(command, 2))
  table.insert(result, { key, kind, flat })
end
return result`;

/** A connection on which functions are patched as they are defined. */
class PatchedRedis extends Redis {
  readonly #patches: readonly Patch[];
  readonly #missed: Set<Patch>;
  readonly #sources: string[] = [];

  constructor(url: string, db: number, patches: readonly Patch[]) {
    super(url, { db, maxRetriesPerRequest: 0, enableReadyCheck: false, lazyConnect: true });
    this.#patches = patches;
    this.#missed = new Set(patches);
  }

  override defineCommand(name: string, definition: { lua: string; numberOfKeys?: number; readOnly?: boolean }): void {
    let { lua } = definition;
    for (const patch of this.#patches) {
      if (!lua.includes(patch.text)) continue;
      lua = lua.replaceAll(patch.text, patch.by);
      this.#missed.delete(patch);
    }
    this.#sources.push(lua);
    super.defineCommand(name, { ...definition, lua });
  }

  /** What is loaded needs no second attempt, which would come too late between the calls around it. */
  async loadAll(): Promise<void> {
    for (const { text } of this.#missed)
      throw new Error(`no Lua function contains "${text}": the rule has moved, adjust its patch`);
    await Promise.all(this.#sources.map((lua) => this.script('LOAD', lua)));
  }
}

interface Scripts {
  restoreDump(dump: string): Promise<unknown>;
  dumpAll(): Promise<DumpedKey[]>;
}

/** One logical database of a Redis that nobody else uses, and the library's buffer on it. */
export class Lane {
  readonly #redis: PatchedRedis & Scripts;
  readonly #buffer: RedisBuffer;

  private constructor(redis: PatchedRedis & Scripts) {
    this.#redis = redis;
    const connections = { writer: redis, worker: redis };
    const names = { prefix: 'cc', installation: 'model', shards: 1 };
    this.#buffer = new RedisBuffer({ ...connections, ...names, window: 1, durableRedis: true });
  }

  /** Opens lanes on the first logical databases of a server. */
  static async open(url: string, count: number, patches: readonly Patch[]): Promise<readonly Lane[]> {
    const lanes = Array.from({ length: count }, (_, db) => new PatchedRedis(url, db, patches));
    for (const redis of lanes) {
      await redis.connect();
      defineScripts(redis);
      redis.defineCommand('restoreDump', { lua: RESTORE, numberOfKeys: 0 });
      redis.defineCommand('dumpAll', { lua: DUMP, numberOfKeys: 0 });
    }
    // The server keeps them for all.
    await lanes[0]?.loadAll();
    return lanes.map((redis) => new Lane(redis as PatchedRedis & Scripts));
  }

  /** Runs a call of the buffer on a state of Redis: what it answers, and the state after. */
  async run(before: string, call: Call): Promise<{ readonly after: string; readonly reply: Json }> {
    const restored = this.#redis.restoreDump(before);
    const [, reply] = await Promise.all([restored, call.run(this.#buffer)]);
    return { after: canonicalDump(await this.#redis.dumpAll(), Date.now()), reply };
  }

  close(): void {
    this.#redis.disconnect();
  }
}
