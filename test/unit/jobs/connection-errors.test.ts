import { inspect } from 'node:util';

import { BufferUnavailableError } from '../../../src/errors';
import { ConnectionErrors } from '../../../src/schedule/bullmq/connection-errors';

function refused(): Error {
  return Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:6379'), { code: 'ECONNREFUSED' });
}

test('of one outage the first connection error is told, with the cause and what it means', () => {
  let now = 0;
  const told: unknown[] = [];
  const errors = new ConnectionErrors(
    (error) => told.push(error),
    () => now,
  );
  const first = refused();
  errors.report(first);
  for (; now < 120_000; now += 12_000)
    errors.report(now % 24_000 === 0 ? refused() : new Error('Connection is closed.'));
  expect(told).toEqual([expect.any(BufferUnavailableError)]);
  expect(told[0]).toMatchObject({ cause: first, context: { code: 'ECONNREFUSED' } });
  errors.report(Object.assign(new Error('getaddrinfo EAI_AGAIN redis'), { code: 'EAI_AGAIN' }));
  expect(told).toHaveLength(1);
  now += 30_001;
  errors.report(refused());
  expect(told).toHaveLength(2);
});

test('other errors are told as they are, each kind once per outage', () => {
  let now = 0;
  const told: unknown[] = [];
  const errors = new ConnectionErrors(
    (error) => told.push(error),
    () => now,
  );
  const others = [
    Object.assign(new Error('bad certificate'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }),
    new Error('Missing lock for job 1'),
    'text',
    null,
  ];
  for (let i = 0; i < 4_000; i++)
    for (const error of [...others, new Error(`Missing lock for job ${i}`)]) errors.report(error);
  expect(told).toEqual(others);
  now += 30_001;
  errors.report(others[0]);
  expect(told).toEqual([...others, others[0]]);
});

test('a refusal says what to look at, and has no arguments of the command', () => {
  const told: unknown[] = [];
  const refusal = Object.assign(new Error('WRONGPASS invalid'), {
    name: 'ReplyError',
    command: { name: 'auth', args: ['s3cret'] },
  });
  new ConnectionErrors((error) => told.push(error)).report(refusal);
  expect(told).toEqual([expect.objectContaining({ code: 'BUFFER_UNAVAILABLE', cause: refusal })]);
  expect(inspect(told, { depth: 9 })).not.toContain('s3cret');
});
