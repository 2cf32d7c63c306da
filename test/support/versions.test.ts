import { execute } from './database';
import { describeVersions } from './versions';

const found = new Set<string>();

describeVersions('a server', (server) => {
  it('is there', async () => {
    const [row] = await execute(server(), 'SHOW server_version');
    found.add(String(row?.['server_version']).split('.')[0] ?? '');
  });
});

it('was another each time', () => {
  expect([...found].toSorted()).toEqual(['15', '18']);
});
