import type { Command } from 'commander';
import type { Diagnosis } from '../../studio/doctor.ts';
import { byteSize, table } from '../format.ts';
import type { Session } from '../session.ts';

export function addDoctorCommand(program: Command, session: Session): void {
  program
    .command('doctor')
    .description('what works on this machine, and why the rest does not')
    .action(async () => {
      const { diagnose } = await import('../../studio/doctor.ts');
      const diagnosis = await diagnose(await session.workspace(), session.task());
      session.answer(diagnosis, describe(diagnosis));
    });
}

function describe({ engines, devices, decoder, machine }: Diagnosis): string {
  const { compiled, eager } = engines;
  const parts: [string, { works: boolean; why?: string; version?: string }, string][] = [
    ['engine compiled', compiled, 'onnxruntime '],
    ['engine eager', eager, `TensorFlow.js, ${eager.backend ?? 'no'} backend, `],
    ...Object.entries(devices).map(([name, device]): [string, typeof device, string] => [`device ${name}`, device, '']),
    ['image decoder', decoder, ''],
  ];
  const rows = parts.map(([what, { works, why, version }, prefix]) => [
    what,
    works ? 'works' : 'no',
    [version === undefined ? '' : `${prefix}${version}`, why ?? ''].filter((text) => text !== '').join('; '),
  ]);
  const { platform, node, cpu, cores, memoryBytes, freeMemoryBytes, freeDiskBytes, workspace } = machine;
  return [
    table(['WHAT', 'WORKS', 'NOTE'], rows),
    '',
    `Machine: ${platform}, Node ${node}, ${cpu}, ${cores} cores, ${byteSize(freeMemoryBytes)} of ${byteSize(memoryBytes)} memory free`,
    `Workspace: ${workspace}, ${byteSize(freeDiskBytes)} free`,
  ].join('\n');
}
