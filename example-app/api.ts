// The API process: counts while it writes, and never updates a counter column itself.
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { connect } from './connect';
import { createApp } from './http/app';
import { tell } from './messages';
import { LiveFigures } from './page/live-figures';
import { readSettings } from './settings';
import { closeAtEnd } from './shutdown';

async function main(): Promise<void> {
  const settings = readSettings(process.env);
  const connection = await connect(settings);
  const live = new LiveFigures(connection);
  const server = createApp(connection, live).listen(settings.port, '127.0.0.1');
  await once(server, 'listening');
  closeAtEnd('api', async () => {
    await live.close();
    await closeServer(server);
    await connection.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  tell({ kind: 'ready', url });
}

/** Answers what was asked, and takes no new requests. */
async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  // A connection that is kept alive becomes idle when its request has been answered.
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  const deadline = setTimeout(() => server.closeAllConnections(), 5_000);
  await closed;
  clearInterval(idle);
  clearTimeout(deadline);
}

main().catch((error: unknown) => {
  console.error('api:', error);
  process.exit(1);
});
