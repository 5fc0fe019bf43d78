import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Failure } from '../../../src-main/base/failure.ts';

const environment = path.resolve(import.meta.dirname, '../../../.venv/peers');
const python = path.join(environment, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');

/** Debian's packages: numpy too, and a BLAS that is not the reference one, with which PyTorch is 19 times slower. */
const packages = ['python3-torch', 'python3-numpy', 'python3-venv', 'libopenblas0-pthread'];
const debianPython = '/usr/bin/python3';

const hasTorch = (interpreter: string) =>
  existsSync(interpreter) && spawnSync(interpreter, ['-c', 'import torch, numpy']).status === 0;

/** The interpreter of an environment with PyTorch that is there already. */
export function existingPeers(): string | undefined {
  return hasTorch(python) ? python : undefined;
}

/**
 * The interpreter of `.venv/peers`, made at the first call, in which PyTorch for the CPU can be imported.
 *
 * From PyPI where its wheel is a CPU one. On Linux x86-64 PyPI's wheel is a CUDA one that cannot be loaded without
 * some gigabytes of CUDA wheels: there Debian's package serves, unless `pypi` asks for those wheels.
 * @throws Failure that says what to install when neither can be had.
 */
export function peerPython({ pypi }: { pypi: boolean }, log: (line: string) => void): string {
  if (hasTorch(python)) return python;
  rmSync(environment, { recursive: true, force: true });
  if (pypi || process.platform !== 'linux' || process.arch !== 'x64') {
    log('Making .venv/peers with PyTorch from PyPI...');
    run(process.platform === 'win32' ? 'python' : 'python3', ['-m', 'venv', environment]);
    run(python, ['-m', 'pip', 'install', '--quiet', 'torch', 'numpy']);
  } else {
    if (!hasTorch(debianPython)) installDebianPackages(log);
    log('Making .venv/peers on top of the PyTorch of the system...');
    run(debianPython, ['-m', 'venv', '--system-site-packages', environment]);
  }
  if (!hasTorch(python)) throw new Failure('peers', `PyTorch was installed but ${python} cannot import it.`);
  return python;
}

function installDebianPackages(log: (line: string) => void): void {
  const install = `apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  if (process.getuid?.() !== 0 || spawnSync('apt-get', ['--version']).status !== 0) {
    throw new Failure(
      'peers',
      `The bench needs PyTorch: install it with \`sudo ${install}\`, or run it with --pypi to fetch PyPI's wheels, several gigabytes with CUDA.`,
    );
  }
  log(`Installing ${packages.join(', ')} with apt-get...`);
  run('apt-get', ['update', '-qq']);
  run('apt-get', install.split(' ').slice(1), { DEBIAN_FRONTEND: 'noninteractive' });
}

function run(command: string, args: string[], env: Record<string, string> = {}): void {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  if (status === 0) return;
  const said = error?.message ?? (stderr || stdout).trim();
  throw new Failure('peers', `\`${command} ${args.join(' ')}\` failed while setting up the peers:\n${said}`);
}
