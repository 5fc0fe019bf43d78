/** What the processor has used, where Linux tells: the counters of RAPL under powercap, which often only root may read. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inTurn } from '../base/in-turn.ts';

const COUNTERS = '/sys/class/powercap';
/** A whole processor; its cores and memory controllers are `intel-rapl:0:0` and are counted within. AMD's too are called so. */
const PACKAGE = /^intel-rapl:\d+$/;

interface Counter {
  file: string;
  /** Where it begins anew, microjoules. */
  range: number;
  /** When it was last read, and all that it has counted since the start. */
  last: number;
  used: number;
}

/** Counts from when it is started. The whole processor: whatever else runs on it is counted too. */
export class EnergyMeter {
  private readonly oneAtATime = inTurn();

  private constructor(private readonly counters: readonly Counter[]) {}

  /** Undefined where the system does not tell. */
  static async start(folder = COUNTERS): Promise<EnergyMeter | undefined> {
    try {
      const names = (await readdir(folder)).filter((name) => PACKAGE.test(name));
      const counters = names.map(async (name): Promise<Counter> => ({
        file: join(folder, name, 'energy_uj'),
        range: await readNumber(join(folder, name, 'max_energy_range_uj')),
        last: await readNumber(join(folder, name, 'energy_uj')),
        used: 0,
      }));
      return names.length > 0 ? new EnergyMeter(await Promise.all(counters)) : undefined;
    } catch {
      return undefined;
    }
  }

  /**
   * Joules since the start. A counter may have begun anew once since it was last asked for, which takes minutes to hours.
   * @throws Error where the system no longer tells
   */
  joules(): Promise<number> {
    return this.oneAtATime(async () => {
      for (const counter of this.counters) {
        const { last, range } = counter;
        const now = await readNumber(counter.file);
        counter.used += now >= last ? now - last : now - last + range;
        counter.last = now;
      }
      return this.counters.reduce((sum, { used }) => sum + used, 0) / 1e6;
    });
  }
}

/** @throws Error for what is no number */
async function readNumber(file: string): Promise<number> {
  const text = (await readFile(file, 'utf8')).trim();
  if (!/^\d+$/.test(text)) throw new Error(`"${file}" holds no number.`);
  return Number(text);
}
