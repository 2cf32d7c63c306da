// Runs a module of a document: its imports at the top, and all else in an async function, since it awaits at its top.
const Module = require('node:module');
const { join } = require('node:path');
const { transformSync } = require('@swc/core');

const root = join(__dirname, '..', '..');
const filename = join(root, 'document.ts');
const IMPORTS = /^ *import [^;]+;/gm;

const code = process.env.PROGRAM_CODE;
const body = code.replaceAll(IMPORTS, '').replaceAll(/^ *export /gm, '');
const source = `${code.match(IMPORTS).join('\n')}\nvoid (async () => {\n${body}\n})();`;

const document = new Module(filename);
document.paths = module.paths;
document._compile(transformSync(source, { filename, configFile: join(root, '.swcrc') }).code, filename);
