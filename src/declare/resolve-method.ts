import type { EntityManager } from 'typeorm';

import type { RecountMethod } from '../model/definition';
import type { Endpoint, ResolveContext } from './endpoint';

/** The custom recount of a declaration; `null` when there is none. */
export function resolveMethod(
  endpoints: readonly Endpoint[],
  { parsed, report }: ResolveContext,
): RecountMethod | null {
  const { method, column } = parsed;
  if (method === null) return null;
  if (typeof column === 'function') {
    report(
      "expected no 'method' with a function as 'column', got both: one method cannot recount several columns. Remove 'method'",
    );
  }
  if (typeof method === 'function') return method as RecountMethod;
  for (const { metadata } of endpoints) {
    if (hasMethod(metadata.target, method)) continue;
    report(
      `expected 'method' to be a method of ${metadata.name}, got: '${method}', which it has not. Add it, or pass a function (target, manager) => …`,
    );
  }
  return callMethod(method);
}

/** Source text of the custom recount, by which a changed one is noticed; `null` when there is none. */
export function methodTextOf(endpoints: readonly Endpoint[], { parsed: { method } }: ResolveContext): string | null {
  if (method === null) return null;
  if (typeof method === 'function') return String(method);
  return endpoints.map(({ metadata }) => String(methodNamed(metadata.target, method))).join('\n');
}

function hasMethod(target: unknown, method: string): boolean {
  return typeof methodNamed(target, method) === 'function';
}

function methodNamed(target: unknown, method: string): unknown {
  const prototype: unknown = typeof target === 'function' ? target.prototype : null;
  return prototype === null ? undefined : (prototype as Record<string, unknown>)[method];
}

function callMethod(name: string): RecountMethod {
  type Methods = Record<string, (manager: EntityManager) => ReturnType<RecountMethod>>;
  return async (target, manager) => {
    const method = (target as Methods)[name];
    if (method === undefined) throw new TypeError(`${name} is not a method of the target`);
    return method.call(target, manager);
  };
}
