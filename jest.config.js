// `npm test` takes minutes, `npm run test:all` a quarter of an hour. A file that is named runs in any case.
const isNamed = process.argv.slice(2).some((argument) => argument.startsWith('test/'));
const ignored = [
  '/node_modules/',
  ...(process.env.TESTS === 'all' || isNamed ? [] : ['\\.long\\.test\\.ts$']),
  // What it meets depends on time, and it takes minutes: `npm run test:soak`.
  ...(process.env.SOAK === undefined ? ['<rootDir>/test/soak/'] : []),
];

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  testPathIgnorePatterns: ignored,
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/example-app/dist/', '<rootDir>/bench/dist/'],
  moduleNameMapper: {
    '^typeorm-counter-cache$': '<rootDir>/src/index.ts',
    '^typeorm-counter-cache/testing$': '<rootDir>/src/testing/index.ts',
  },
  // Options are in .swcrc.
  transform: { '^.+\\.ts$': '@swc/jest' },
  // One PostgreSQL and one Redis for the run; every test file creates its own database.
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  setupFilesAfterEnv: ['<rootDir>/test/support/leaks.ts'],
  maxWorkers: 2,
  testTimeout: 60_000,
  watchman: false,
};
