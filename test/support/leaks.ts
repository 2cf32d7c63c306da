import { killChildren } from './child';

// A child that is still there would keep jest from ending, and tells of a test that did not clean up.
afterAll(() => {
  expect(killChildren()).toBe(0);
});
