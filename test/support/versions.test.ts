import { execute } from './database';
import { describeVersions } from './versions';

const found = new Set<string>();

describeVersions('a server', (server) => {
  it('is there', async () => {
    const [row] = await execute(server(), 'SHOW server_version_num');
    found.add(String(row?.['server_version_num']).slice(0, 2));
    expect(row).toBeDefined();
  });
});

it('was another each time', () => {
  expect([...found].toSorted()).toEqual(['15', '18']);
});
