import { stat } from 'node:fs/promises';

/** Whether there is something at `path` that can be seen. */
export function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
