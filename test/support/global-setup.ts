import { type Services, startServices } from './services';

declare global {
  // Jest hands nothing from setup to teardown but globals.
  var counterCacheServices: Services | undefined;
}

/** Starts one PostgreSQL and one Redis for the whole run. Workers inherit the environment. */
export default async function setUp(): Promise<void> {
  const services = await startServices();
  globalThis.counterCacheServices = services;
  process.env['DATABASE_URL'] = services.databaseUrl;
  process.env['REDIS_URL'] = services.redisUrl;
}
