import { z } from 'zod';
import { UsageError } from './usage-error.ts';

const configFile = z.strictObject({
  defaults: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]))
    .exactOptional(),
  suppress: z
    .array(
      z.strictObject({
        id: z.string(),
        scope: z.string().exactOptional(),
        reason: z.string().trim().min(1),
        until: z.iso.date().exactOptional(),
      }),
    )
    .exactOptional(),
});

/** @throws UsageError that says what is wrong where in the file */
export function parseConfigFile(file: string, text: string): z.infer<typeof configFile> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${file}: not JSON (${error instanceof Error ? error.message : ''})`);
  }
  const parsed = configFile.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new UsageError(`${file}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
}
