/** Any JSON value, as JSON.parse returns it. */
export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export type JsonObject = { readonly [name: string]: Json };

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

export function textIn(object: JsonObject, name: string): string | undefined {
  const value = object[name];
  return typeof value === 'string' ? value : undefined;
}

export function numberIn(object: JsonObject, name: string): number | undefined {
  const value = object[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** nft and libnftables wrap a single expression or statement in an object of one member. */
export function single(value: Json | undefined): readonly [name: string, body: Json] | undefined {
  if (!isObject(value)) return undefined;
  // Object.entries() would make a list of all that is in it, for each statement of each rule.
  for (const name in value) return [name, value[name] ?? null];
  return undefined;
}
