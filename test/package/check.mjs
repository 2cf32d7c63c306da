// Tests the package as users get it: packed, installed elsewhere, and imported from CommonJS and from ES modules.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Everything that the package exports to JavaScript, by entry point. */
const EXPORTS = {
  '.': [
    'AmountError',
    'BufferUnavailableError',
    'ConfigurationError',
    'CounterCache',
    'CounterCacheError',
    'Counters',
    'InProcessScheduler',
    'NotPermittedError',
    'TablesMissingError',
    'closeOnSignal',
    'counterCacheEntities',
    'defineCounterCache',
  ],
  './testing': ['DriftError', 'attachForTests'],
};

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const folder = mkdtempSync(join(tmpdir(), 'counter-cache-package-'));

try {
  const tarball = pack();
  step('publint', () => run(bin('publint'), ['run', tarball, '--strict']));
  // Resolution as before Node 12 knows no entry points but the first.
  step('are the types wrong', () => run(bin('attw'), [tarball, '--profile', 'node16']));
  const app = install(tarball);
  for (const entry of Object.keys(manifest.exports)) {
    step(`import ${entry}`, () => importEverywhere(app, entry));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function pack() {
  // Here rather than by prepack, so that what npm prints is the list of files only.
  run(process.execPath, [join(root, '.ci', 'build.mjs')]);
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const [packed] = JSON.parse(run('npm', args));
  const files = packed.files.map((file) => file.path);
  step('contents', () => checkContents(files));
  step('links', () => checkLinks(files));
  return join(folder, packed.filename);
}

function checkContents(files) {
  const missing = ['LICENSE', 'CHANGELOG.md'].filter((file) => !files.includes(file));
  if (missing.length > 0) throw new Error(`not in the package: ${missing.join(', ')}`);
  const allowed = /^(dist\/.+\.(js|js\.map|d\.ts)|package\.json|README\.md|CHANGELOG\.md|LICENSE|docs\/.+\.md)$/;
  const extra = files.filter((file) => !allowed.test(file));
  if (extra.length > 0) throw new Error(`does not belong into the package: ${extra.join(', ')}`);
}

/** Documents link to what is in the package only: elsewhere there is no repository beside them. */
function checkLinks(files) {
  const broken = files
    .filter((file) => file.endsWith('.md'))
    .flatMap((file) =>
      [...readFileSync(join(root, file), 'utf8').matchAll(/\]\(([^)#\s]+)/g)]
        .map(([, link]) => link)
        .filter((link) => !/^[a-z]+:/.test(link))
        .filter((link) => !files.some((other) => `${other}/`.startsWith(`${posix.join(posix.dirname(file), link)}/`)))
        .map((link) => `${file} → ${link}`),
    );
  if (broken.length > 0) throw new Error(`links to nothing: ${broken.join(', ')}`);
}

function install(tarball) {
  const app = join(folder, 'app');
  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), JSON.stringify({ private: true }));
  run('npm', ['install', '--offline', '--legacy-peer-deps', '--no-package-lock', tarball], app);
  // The peers that we test with, so that no network is needed.
  for (const peer of Object.keys(manifest.peerDependencies)) {
    symlinkSync(join(root, 'node_modules', peer), join(app, 'node_modules', peer), 'dir');
  }
  return app;
}

function importEverywhere(app, entry) {
  const name = join(manifest.name, entry);
  if (entry.endsWith('.json')) {
    execute(app, 'json.cjs', `require('${name}')`);
    return;
  }
  const names = EXPORTS[entry];
  if (names === undefined) throw new Error(`${entry}: say what it exports`);
  // An ES module sees the names that Node finds in the text of the CommonJS file, and some of Node's own.
  const foreign = JSON.stringify(['__esModule', 'default', 'module.exports']);
  const check = `for (const [name, value] of Object.entries({ ${names.join(', ')} }))
    if (value === undefined) throw new Error(name + ' is missing');
  const exported = Object.keys(all).filter((name) => !${foreign}.includes(name)).sort();
  if (exported.join() !== '${names.join()}') throw new Error('exported: ' + exported.join());`;
  execute(app, 'entry.cjs', `const all = require('${name}');\nconst { ${names.join(', ')} } = all;\n${check}`);
  const star = `import * as all from '${name}';`;
  execute(app, 'entry.mjs', `${star}\nimport { ${names.join(', ')} } from '${name}';\n${check}`);
}

function execute(app, file, code) {
  writeFileSync(join(app, file), code);
  run(process.execPath, [file], app);
}

function bin(name) {
  return join(root, 'node_modules', '.bin', name);
}

function run(file, args, cwd = root) {
  return execFileSync(file, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

function step(name, action) {
  try {
    action();
  } catch (error) {
    // The output of a program that failed says more than its exit code.
    process.stderr.write(error.stdout ?? '');
    console.error(`package: ${name}: failed`);
    throw error;
  }
  console.log(`package: ${name}: ok`);
}
