/** What can be known of the packages without making one: the configuration, by electron-builder's own schema, and the closure of what is unpacked. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const require = createRequire(import.meta.url);
const builder = createRequire(require.resolve('electron-builder/package.json'));
const library = createRequire(builder.resolve('app-builder-lib/package.json'));
const { load } = library('js-yaml') as { load: (text: string) => unknown };
const { minimatch } = library('minimatch') as {
  minimatch: (file: string, pattern: string, options: object) => boolean;
};

interface Configuration {
  asarUnpack: string[];
  files: string[];
  electronFuses: Record<string, boolean>;
  linux: { files: string[]; icon: string };
  win: { files: string[]; icon: string };
  mac: { files: string[]; icon: string; entitlements: string; entitlementsInherit: string };
}
const configuration = load(readFileSync(path.join(root, 'electron-builder.yml'), 'utf8')) as Configuration;
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
  main: string;
  dependencies: Record<string, string>;
};

/** Whether a file of the app lies on the disk and not in the archive. */
const isUnpacked = (file: string) =>
  configuration.asarUnpack.some((pattern) => minimatch(file, pattern, { dot: true }) || file === pattern);

describe('the packages', () => {
  it('are described as electron-builder wants it', async () => {
    const { validateConfiguration } = library('app-builder-lib/out/util/config/config.js') as {
      validateConfiguration: (config: unknown, logger: { isEnabled: boolean; add: () => void }) => Promise<void>;
    };
    const logger = { isEnabled: false, add: () => undefined };
    await validateConfiguration(structuredClone(configuration), logger);
    await expect(validateConfiguration({ ...configuration, asarUnpacked: [] }, logger)).rejects.toThrow(/asarUnpacked/);
  });

  it('turn off what would make a Node of the app', () => {
    expect(configuration.electronFuses).toMatchObject({
      runAsNode: false,
      enableNodeOptionsEnvironmentVariable: false,
      enableNodeCliInspectArguments: false,
      grantFileProtocolExtraPrivileges: false,
      enableEmbeddedAsarIntegrityValidation: true,
      onlyLoadAppFromAsar: true,
    });
  });

  it('hold what the app needs: the entry from the sources, icons, the embedded backbone', () => {
    expect(existsSync(path.join(root, manifest.main.replace(/^dist/, 'src-main').replace(/\.js$/, '.ts')))).toBe(true);
    for (const { icon } of [configuration.linux, configuration.win, configuration.mac])
      expect(existsSync(path.join(root, icon)), icon).toBe(true);
    for (const file of configuration.files.filter((each) => each.startsWith('resources/'))) {
      const { dir, base } = path.parse(file);
      const found = readdirSync(path.join(root, dir)).filter((name) => minimatch(name, base, {}));
      expect(found.length, file).toBeGreaterThan(0);
    }
  });

  it('let native code run, and the camera be asked for, under macOS’s hardened runtime', () => {
    const { entitlements, entitlementsInherit } = configuration.mac;
    const plist = readFileSync(path.join(root, entitlements), 'utf8');
    for (const key of [
      'cs.allow-jit',
      'cs.allow-unsigned-executable-memory',
      'cs.disable-library-validation',
      'device.camera',
    ])
      expect(plist).toMatch(new RegExp(`<key>com\\.apple\\.security\\.${key}</key>\\s*<true/>`));
    expect(entitlementsInherit).toBe(entitlements);
  });

  it('name no home, and nobody, that does not exist', () => {
    expect(JSON.stringify([configuration, manifest])).not.toMatch(/\.invalid|example\.(org|com)/);
  });

  it('bring sharp for Linux without the build that clashes with Electron', () => {
    expect(manifest.dependencies).toHaveProperty('@img/sharp-wasm32');
    for (const { files } of [configuration.linux, configuration.win, configuration.mac])
      expect(files[0], 'a list of exclusions alone would add all sources').not.toMatch(/^!/);
    expect(configuration.linux.files).toContain('!node_modules/@img/sharp-linux*/**');
  });
});

/** The sources that `file` imports, and those that they do, relative to src-main. */
function closureOf(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(path.join(root, 'src-main', file), 'utf8');
  const specifiers = [
    ...text.matchAll(/^(?:import|export)\s[^;]*?from\s+'(\.[^']+)'|^import\s+'(\.[^']+)'/gms),
    ...text.matchAll(/\bimport\('(\.[^']+)'\)/g),
  ].flatMap(([, from, alone]) => from ?? alone ?? []);
  for (const specifier of specifiers) closureOf(path.join(path.dirname(file), specifier), seen);
  return seen;
}

const programs = readdirSync(path.join(root, 'src-main'), { recursive: true, encoding: 'utf8' }).filter(
  (file) =>
    /-(process|thread|worker)\.ts$/.test(file) &&
    /parent\.(tell|listen)|answerRequests/.test(readFileSync(path.join(root, 'src-main', file), 'utf8')),
);

it('knows the programs of our processes and threads', () => {
  expect(programs.map((file) => path.basename(file))).toEqual(
    expect.arrayContaining([
      'decoder-process.ts',
      'trainer-process.ts',
      'step-probe-process.ts',
      'probe-process.ts',
      'session-worker.ts',
      'gradient-worker.ts',
    ]),
  );
});

it.each([...programs, 'electron/utility-entry.ts'])('all that %s imports is unpacked', (program) => {
  const closure = [...closureOf(program)].map(
    (file) => `dist/${file.split(path.sep).join('/').replace(/\.ts$/, '.js')}`,
  );
  expect(closure.filter((file) => !isUnpacked(file))).toEqual([]);
  // By it Node knows that these are modules.
  expect(isUnpacked('package.json')).toBe(true);
});

it.each(Object.keys(manifest.dependencies))('the package %s is unpacked', (name) => {
  expect(isUnpacked(`node_modules/${name}/package.json`)).toBe(true);
});
