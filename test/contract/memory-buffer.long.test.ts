import { MemoryBuffer } from '../../src/engines/buffered/memory/memory-buffer';
import { describeBuffer } from './buffer.contract';

describeBuffer(
  'MemoryBuffer',
  async (options) => ({ buffer: new MemoryBuffer(options), cleanup: async () => undefined }),
  { lives: 500 },
);
