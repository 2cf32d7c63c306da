import { MemoryBuffer } from '../../src/buffer/memory/memory-buffer';
import { describeBuffer } from './buffer.contract';

describeBuffer(
  'MemoryBuffer',
  async (options) => ({ buffer: new MemoryBuffer(options), cleanup: async () => undefined }),
  { lives: 500 },
);
