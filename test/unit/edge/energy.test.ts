import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { EnergyMeter } from '../../../src-main/edge/energy.ts';

it('energy of all processors, whose counters may begin anew; nothing where the system does not tell', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'powercap '));
  try {
    const put = async (name: string, microjoules: string) => {
      await mkdir(join(folder, name), { recursive: true });
      await writeFile(join(folder, name, 'energy_uj'), `${microjoules}\n`);
      await writeFile(join(folder, name, 'max_energy_range_uj'), '10000000\n');
    };
    expect(await EnergyMeter.start(join(folder, 'none'))).toBeUndefined();
    expect(await EnergyMeter.start(folder)).toBeUndefined();
    await put('intel-rapl:0', '1000000');
    await put('intel-rapl:0:0', '500000');
    await put('intel-rapl:1', '9000000');
    const meter = await EnergyMeter.start(folder);
    await put('intel-rapl:0', '3500000');
    await put('intel-rapl:0:0', '2500000');
    await put('intel-rapl:1', '500000');
    expect(await meter!.joules()).toBe(4);
    await put('intel-rapl:1', '250000');
    expect(await meter!.joules()).toBe(13.75);
    await put('intel-rapl:1', 'none');
    expect(await EnergyMeter.start(folder)).toBeUndefined();
  } finally {
    await rm(folder, { recursive: true });
  }
});
