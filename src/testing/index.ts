export { attachForTests, type TestCounters, type TestMethods, type TestOptions } from './attach-for-tests';
export { DriftError } from './drift-error';
export type { FlushAllOptions } from './flush-all';
