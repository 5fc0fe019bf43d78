export function electronPath(
  folder: string,
  env: NodeJS.ProcessEnv,
  system: { exists: (file: string) => boolean; read: (file: string) => string; platform: NodeJS.Platform },
): string | undefined;
export function canShow(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): boolean;
