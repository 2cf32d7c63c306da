// Lets `node -r` run our TypeScript as it is: with the options of the tests, and with the library taken from src/.
const { readFileSync } = require('node:fs');
const Module = require('node:module');
const { join } = require('node:path');
const { transformSync } = require('@swc/core');

const root = join(__dirname, '..', '..');

Module._extensions['.ts'] = (module, filename) => {
  const { code } = transformSync(readFileSync(filename, 'utf8'), { filename, root, configFile: join(root, '.swcrc') });
  module._compile(code, filename);
};

const OURS = {
  'typeorm-counter-cache': join(root, 'src', 'index.ts'),
  'typeorm-counter-cache/testing': join(root, 'src', 'testing', 'index.ts'),
};

const resolve = Module._resolveFilename;
Module._resolveFilename = function resolveFromSource(request, ...rest) {
  return resolve.call(this, OURS[request] ?? request, ...rest);
};
