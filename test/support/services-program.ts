// Starts servers, says which, and waits to be killed.
import { startPostgres, startRedis } from './services';

async function main(): Promise<void> {
  const servers = await Promise.all([startPostgres(), startRedis()]);
  process.stdout.write(`${JSON.stringify(servers.map((server) => server.pid))}\n`);
  process.on('disconnect', () => process.exit());
}

void main();
