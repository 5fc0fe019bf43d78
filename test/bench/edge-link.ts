/**
 * Device and server in network namespaces of their own, a slow link between them (Linux, root, iproute2, Python): what is
 * transferred and how long that takes, and whether what is learnt is what is learnt on loopback.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { addBackbone } from '../../src-main/backbone/add-backbone.ts';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { Failure } from '../../src-main/base/failure.ts';
import { writeOrientationSet } from '../../src-main/data/sample/orientation.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';
import { runCli } from '../integration/cli/run-cli.ts';
import { startEdge } from '../integration/edge/edge-process.ts';
import { epochsOf } from '../integration/stage.ts';
import type { Row } from './outcome.ts';
import { columns } from './table.ts';

export interface LinkFigures {
  /** What the link does. */
  link: string;
  runs: { what: string; images: number; upBytes: number; downBytes: number; wireBytes: number; seconds: number }[];
  /** Whether the epochs of MIET on fp16 sums are those of the run on loopback. */
  same: boolean;
}

/** Each way; beyond a queue of so long packets are lost as well, as they are on slow links. */
const LINK = { mbit: 2, delayMs: 40, loss: 0.01, queueMs: 200 };
const CARRIER = fileURLToPath(new URL('slow-link.py', import.meta.url));
const IMAGES = { train: 32, val: 8, test: 8 };
const METHODS: [what: string, args: string[]][] = [
  ['MIET: one sum, fp16', ['--method', 'miet', '--upto', '2', '--cache', 'fp16']],
  ['MIET: one sum, int8', ['--method', 'miet', '--upto', '2', '--cache', 'int8']],
  ['linear: pooled rows', ['--method', 'linear']],
  ['LAST: all taps, fp16', ['--method', 'last', '--cache', 'fp16']],
];

/** @throws Failure `no-namespaces` */
export async function measureEdgeLink(log: (line: string) => void): Promise<LinkFigures> {
  const link = await makeLink();
  const folder = await mkdtemp(join(tmpdir(), 'edge-link-'));
  try {
    const [dataset, vit, there] = [join(folder, 'hearts'), join(folder, 'vit.onnx'), join(folder, 'server')];
    await writeOrientationSet(dataset, { ...IMAGES, seed: 1 });
    // Of ViT-Ti's shape: transfer depends on tokens and width.
    await writeFile(vit, writePlainVit({ size: 224, patch: 16, width: 192, blocks: 3, heads: 3 }));
    await addBackbone(await Workspace.open(there), vit);
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, randomUUID());
    const serve = ['--workspace', there, '--backbone', 'vit', '--upto', '1,2,3', '--token-file', tokenFile];
    const train = async (workspace: string, url: string, how: readonly string[], under: readonly string[]) => {
      const where = ['--workspace', join(folder, workspace), '--dataset', dataset, '--token-file', tokenFile];
      const args = ['train', '--json', ...where, '--backbone', `${url}/v2/models/vit`, '--epochs', '2', ...how];
      const { code, stderr, json } = await runCli([...args, '--threads', '1', '--step-form', 'plain'], { under });
      if (code !== 0) throw new Failure('bench-side', `Training on the device failed: ${stderr}`);
      const { run, seconds } = json as { run: string; seconds: { extract: number } };
      return { seconds: seconds.extract, epochs: join(folder, workspace, 'runs', run, 'metrics.jsonl') };
    };
    const far = await startEdge([...serve, '--host', link.server.address], inside(link.server.name));
    const near = await startEdge(serve);
    try {
      const runs: LinkFigures['runs'] = [];
      let same = false;
      for (const [index, [what, how]] of METHODS.entries()) {
        const before = link.bytes();
        const { seconds, epochs } = await train(`device${index}`, far.url, how, inside(link.device.name));
        const wireBytes = link.bytes() - before;
        runs.push({ what, ...(await transferredInto(join(folder, `device${index}`))), wireBytes, seconds });
        log(`${what}: ${(wireBytes / 1e6).toFixed(2)} MB over the link in ${seconds.toFixed(1)} s`);
        if (index > 0) continue;
        const undisturbed = await train('undisturbed', near.url, how, []);
        same = JSON.stringify(await epochsOf(epochs)) === JSON.stringify(await epochsOf(undisturbed.epochs));
      }
      return { link: link.described, runs, same };
    } finally {
      await far.stop();
      await near.stop();
    }
  } finally {
    link.remove();
    await rm(folder, { recursive: true });
  }
}

const inside = (namespace: string): string[] => ['ip', 'netns', 'exec', namespace];

/** Two namespaces, and a program that carries packets between them as a slow link does. @throws Failure `no-namespaces` */
async function makeLink() {
  const id = process.pid;
  const [server, device] = [
    { name: `sidetune-server-${id}`, interface: `st${id}s`, address: '10.213.7.1' },
    { name: `sidetune-device-${id}`, interface: `st${id}d`, address: '10.213.7.2' },
  ];
  const run = (command: string) => {
    const [program, ...words] = command.split(' ');
    return execFileSync(program!, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  };
  const { mbit, delayMs, loss, queueMs } = LINK;
  const how = ['--mbit', mbit, '--delay-ms', delayMs, '--loss', loss, '--queue-ms', queueMs].map(String);
  const carrier = spawn('python3', [CARRIER, server.interface, device.interface, ...how], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const remove = () => {
    // The interfaces go with it.
    carrier.kill();
    for (const { name } of [server, device])
      try {
        run(`ip netns delete ${name}`);
      } catch {
        // It was never there.
      }
  };
  try {
    await Promise.race([once(carrier.stdout, 'data'), failing(carrier)]);
    for (const [end, other] of [
      [server, device],
      [device, server],
    ] as const) {
      run(`ip netns add ${end.name}`);
      run(`ip link set ${end.interface} netns ${end.name}`);
      run(`ip -n ${end.name} address add ${end.address} peer ${other.address} dev ${end.interface}`);
      run(`ip -n ${end.name} link set ${end.interface} up`);
      run(`ip -n ${end.name} link set lo up`);
    }
    carrier.stdin.write('\n');
  } catch (error) {
    remove();
    throw new Failure(
      'no-namespaces',
      'A slow link cannot be made here: that takes Linux, root, iproute2 with "ip", python3 and /dev/net/tun.',
      { cause: error },
    );
  }
  /** Both ways, as the device's interface counts: with heads of packets, and what is sent again. */
  const bytes = (): number => {
    const [found] = JSON.parse(run(`ip -n ${device.name} -s -j link show dev ${device.interface}`)) as [
      { stats64: { rx: { bytes: number }; tx: { bytes: number } } },
    ];
    return found.stats64.rx.bytes + found.stats64.tx.bytes;
  };
  const described = `${mbit} Mbit/s, ${delayMs} ms and ${100 * loss} % of packets lost each way`;
  return { server, device, described, bytes, remove };
}

/** Rejects when a program ends, or cannot be started. */
async function failing(child: ChildProcess): Promise<never> {
  await once(child, 'exit');
  throw new Error('It ended.');
}

/** What the features of a workspace took by its own account: each list's says what all before it took, too. */
async function transferredInto(workspace: string) {
  const total = { images: 0, upBytes: 0, downBytes: 0 };
  const folders = join(workspace, 'features');
  for (const name of await readdir(folders)) {
    const about = JSON.parse(await readFile(join(folders, name, 'about.json'), 'utf8')) as {
      transferred: { images: number; up: number; down: number };
    };
    total.images = Math.max(total.images, about.transferred.images);
    total.upBytes = Math.max(total.upBytes, about.transferred.up);
    total.downBytes = Math.max(total.downBytes, about.transferred.down);
  }
  return total;
}

export function edgeLinkTable({ link, runs }: LinkFigures): string {
  const kilobytes = (bytes: number) => (bytes / 1000).toFixed(1);
  const table = columns([
    ['features', 'images', 'kB up an image', 'kB down an image', 'kB on the wire an image', 'seconds', 'Mbit/s'],
    ...runs.map(({ what, images, upBytes, downBytes, wireBytes, seconds }) => [
      what,
      String(images),
      ...[upBytes, downBytes, wireBytes].map((bytes) => kilobytes(bytes / images)),
      seconds.toFixed(1),
      ((8 * wireBytes) / 1e6 / seconds).toFixed(2),
    ]),
  ]);
  return `The link: ${link}.\n${table}`;
}

export function edgeLinkRows({ link, same }: LinkFigures): Row[] {
  return [
    {
      what: `edge: MIET on a device behind a link of ${link}, against loopback`,
      asked: 'the same losses and val top-1 to the bit',
      measured: same ? 'the same' : 'others',
      reached: same,
    },
  ];
}
