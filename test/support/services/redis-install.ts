import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync, writeFileSync } from 'node:fs';

const APT_GET = '/usr/bin/apt-get';
// Debian's packages ask this program before they start a service.
const SERVICE_POLICY = '/usr/sbin/policy-rc.d';

/** Whether we may install packages here: root, on Debian or Ubuntu. */
export function canInstallRedis(): boolean {
  return process.getuid?.() === 0 && existsSync(APT_GET);
}

/** Installs `redis-server` with apt-get. The service that comes with it is not started, and never used. */
export async function installRedis(): Promise<void> {
  process.stderr.write('services: installing redis-server with apt-get …\n');
  await withoutServices(async () => {
    await aptGet('update');
    await aptGet('install', '-y', '--no-install-recommends', 'redis-server');
  });
  process.stderr.write('services: redis-server is installed\n');
}

async function withoutServices(install: () => Promise<void>): Promise<void> {
  if (existsSync(SERVICE_POLICY)) return install();
  writeFileSync(SERVICE_POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    await install();
  } finally {
    rmSync(SERVICE_POLICY, { force: true });
  }
}

async function aptGet(...args: string[]): Promise<void> {
  // Its output goes to stderr: stdout belongs to the program that needs the server.
  const child = spawn(APT_GET, ['-qq', '-o', 'DPkg::Lock::Timeout=300', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', process.stderr, process.stderr],
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`apt-get ${args[0]} failed with exit code ${code}`);
}
