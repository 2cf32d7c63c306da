import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

import { keepAlive } from '../../src/liveness';
import { until } from '../support/until';

const TIMES = { silence: 60, idle: 100, look: 10 };

let server: Server;
let answers: boolean;
let sockets: Socket[];

beforeEach(async () => {
  [answers, sockets] = [true, []];
  server = createServer((socket) => {
    sockets.push(socket.on('error', () => undefined));
    socket.on('data', (data) => void (answers && socket.write(data)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

/** Whether something was sent that was not sent back yet. */
let asked: number;
let told: number;
const isWaiting = (): boolean => asked > told;

function ask(socket: Socket): void {
  asked += 1;
  socket.write('x');
}

async function open(): Promise<Socket> {
  [asked, told] = [0, 0];
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on(
    'data',
    (data) => (told += data.length),
  );
  sockets.push(socket.on('error', () => undefined));
  await once(socket, 'connect');
  return socket;
}

describe('a connection', () => {
  it('on which something was sent and nothing came is cut', async () => {
    const socket = await open();
    const end = keepAlive({ socket: () => socket, isWaiting }, TIMES);
    answers = false;
    const errors = once(socket, 'error');
    ask(socket);
    expect(String(await errors)).toContain('nothing came from Redis');
    expect(socket.destroyed).toBe(true);
    end();
  });

  it('that answers, or is asked nothing, stays', async () => {
    const socket = await open();
    let pings = 0;
    const end = keepAlive({ socket: () => socket, isWaiting, ping: () => void (pings += 1) }, TIMES);
    let said = 0;
    await until(
      () => {
        socket.write('x');
        return ++said > 100;
      },
      5_000,
      5,
    );
    expect(pings).toBe(0);
    await until(() => pings >= 3);
    expect(socket.destroyed).toBe(false);
    end();
  });

  it('that is idle is asked for a sign of life, and cut when there is none', async () => {
    const socket = await open();
    answers = false;
    const end = keepAlive({ socket: () => socket, isWaiting, ping: () => ask(socket) }, TIMES);
    await until(() => socket.destroyed);
    end();
  });

  it('that was made after another one was cut is looked after as well', async () => {
    let socket = await open();
    answers = false;
    const end = keepAlive({ socket: () => socket, isWaiting }, TIMES);
    for (let i = 0; i < 2; i++) {
      const { destroyed } = socket;
      expect(destroyed).toBe(false);
      ask(socket);
      const cut = socket;
      await until(() => cut.destroyed);
      socket = await open();
    }
    end();
  });

  it('stays when it was this process that was asleep', async () => {
    const socket = await open();
    const end = keepAlive({ socket: () => socket, isWaiting }, TIMES);
    ask(socket);
    const start = performance.now();
    while (performance.now() - start < 300);
    await until(() => socket.bytesRead > 0);
    expect(socket.destroyed).toBe(false);
    end();
  });
});
