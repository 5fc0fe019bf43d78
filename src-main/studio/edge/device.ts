/** Features for adaptors at work in the window: pictures go to the server from here, and decisions are made there. */
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { listBackbones } from '../../backbone/catalogue.ts';
import { mapName } from '../../backbone/surgery.ts';
import { Failure } from '../../base/failure.ts';
import { fileStamp } from '../../base/file-stamp.ts';
import type { Picture } from '../../data/image-reference.ts';
import { feedsOf, readAdaptor, type AdaptorFile } from '../../edge/adaptor.ts';
import { alternatives, type Alternative } from '../../edge/costs.ts';
import { EnergyMeter } from '../../edge/energy.ts';
import type { SentTensor } from '../../engine/session-messages.ts';
import { ServedVit } from '../../features/served-vit.ts';
import type { ServerAccess } from '../../oip/connection.ts';
import { modelAddress, serverAddress } from '../../oip/served-at.ts';
import { findRun } from '../../training/find-run.ts';
import { runFile } from '../../training/run-folder.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { findBackbone } from './run-adaptor.ts';
import { exportRun, listExports } from '../export.ts';
import { KeptOpen } from '../kept-open.ts';
import { accessTo } from './server-tokens.ts';
import type { ShownPicture } from '../try-out.ts';

/** An adaptor for the window: what it is, and the model itself. */
export interface ShownAdaptor {
  /** Absolute path. */
  file: string;
  labels: string[];
  backbone: { name: string; sha256: string };
  /** What it reads: `S_8`, `P1_1` ... */
  reads: string[];
  bytes: number;
  /** The ONNX model, in base64. */
  model: string;
}

/** A tensor in JSON: little-endian data in base64. */
export interface WrittenTensor {
  storage: SentTensor['storage'];
  shape: readonly number[];
  data: string;
}

/** What the adaptor has to be fed with for a picture, and what it took to get it. */
export interface FetchedFeatures {
  feeds: Record<string, WrittenTensor>;
  /** Over the wire. */
  bytes: { up: number; down: number };
  seconds: { server: number; network: number };
  /** Whether the server takes pictures as they are; else pixels are sent. */
  takesImages: boolean;
  /** The ways to share the work, computed for this ViT and this picture. */
  alternatives: Alternative[];
}

export interface FeaturesRequest extends ShownPicture {
  /** Path of an adaptor.onnx. */
  adaptor: string;
  /** Address of a server, or of a model on it. */
  server: string;
}

interface Ready {
  adaptor: AdaptorFile;
  vit: ServedVit;
  shape: Awaited<ReturnType<typeof findBackbone>>['structure'];
  takesImages: boolean;
  close(): Promise<void>;
}

/** Seconds to go on trying: somebody waits for the answer. */
const TRY_FOR = 3;

/*
 * The window does not talk to the server itself. Its pictures go through the studio's own process, as those of the
 * command do: the same retries and checks, the token stays out of the page, the page may connect to nobody but the
 * studio, and the server needs no CORS, so that no page of another site can ever use it.
 */
export class EdgeDevice {
  private readonly kept = new KeptOpen<Ready>();
  private meter: Promise<EnergyMeter | undefined> | undefined;

  /** @param certificateOf path of the certificate of a server of our own, by its address */
  constructor(
    private readonly workspace: Workspace,
    private readonly certificateOf: (server: string) => string | undefined,
  ) {}

  /**
   * An adaptor file, or a run's, which is exported where no export is as new as the run.
   * @throws Failure as `readAdaptor`, `findRun`, `exportRun`
   */
  async adaptor(source: { run: string } | { file: string }): Promise<ShownAdaptor> {
    const file = 'file' in source ? resolve(source.file) : await this.adaptorOf(source.run);
    const { facts, bytes } = await readAdaptor(file);
    const { labels, backbone, maps, base } = facts;
    const names = maps.map(mapName);
    return {
      file,
      labels,
      backbone,
      reads: base === null ? names : [...names, base],
      bytes: bytes.byteLength,
      model: Buffer.from(bytes).toString('base64'),
    };
  }

  /**
   * What the server makes of a picture. Pictures wait for each other.
   * @throws Failure `image`, `no-adaptor`, and those of `findBackbone` and `ServedVit`
   */
  async features({ adaptor, server, name, bytes }: FeaturesRequest): Promise<FetchedFeatures> {
    const key = `${adaptor} ${await fileStamp(adaptor)} ${server}`;
    return this.kept.use(
      key,
      () => this.open(adaptor, server),
      async (ready) => {
        const { vit, shape, takesImages } = ready;
        const { up, down, seconds } = structuredClone(vit.transferred);
        const picture: Picture = { path: name, encoded: bytes };
        const tapped = await vit.tap([picture]);
        const feeds = feedsOf(ready.adaptor, tapped, vit.scales, 1, shape);
        const { transferred } = vit;
        return {
          feeds: Object.fromEntries(Object.entries(feeds).map(([input, tensor]) => [input, written(tensor)])),
          bytes: { up: transferred.up - up, down: transferred.down - down },
          seconds: {
            server: transferred.seconds.server - seconds.server,
            network: transferred.seconds.network - seconds.network,
          },
          takesImages,
          alternatives: alternatives(shape, bytes.byteLength),
        };
      },
      (error) => error instanceof Failure && error.code === 'image',
    );
  }

  /** What this machine's processor has used since this was first asked, for whomever; null where the system does not tell. */
  async joules(): Promise<number | null> {
    const meter = await (this.meter ??= EnergyMeter.start());
    return (await meter?.joules().catch(() => null)) ?? null;
  }

  close(): Promise<void> {
    return this.kept.close();
  }

  private async open(file: string, server: string): Promise<Ready> {
    const adaptor = await readAdaptor(file);
    const { maps, storage, base } = adaptor.facts;
    const backbone = await findBackbone({ server, ...(await this.access(server)) }, adaptor.facts);
    const retry = { tryFor: TRY_FOR };
    const vit = await ServedVit.open(backbone, { maps, storage, base: base !== null, retry });
    const { takesImages } = backbone.served!;
    return { adaptor, vit, shape: backbone.structure, takesImages, close: () => vit.close() };
  }

  /** As the server was connected to, be it here or by a command; ours as it was started. */
  private async access(address: string): Promise<ServerAccess> {
    const { server } = serverAddress(address);
    const known = (await listBackbones(this.workspace)).find(
      ({ source, served }) => served && modelAddress(source).server === server,
    );
    const { tokenFile, caFile = this.certificateOf(server) } = known?.served ?? {};
    return { tokenFile, caFile, ...(await accessTo(this.workspace, server)) };
  }

  private async adaptorOf(named: string): Promise<string> {
    const run = await findRun(this.workspace, named);
    const best = await stat(runFile(this.workspace, run, 'best')).catch(() => undefined);
    const exported = (await listExports(this.workspace, run)).find(
      ({ files, time }) =>
        files.some(({ name }) => name === ADAPTOR) && (best === undefined || Date.parse(time) >= best.mtimeMs),
    );
    if (exported) return join(exported.folder, ADAPTOR);
    // Beside the user's own: an export in another form would be in the way.
    const out = join(this.workspace.root, 'exports', `${run}-adaptor`);
    const { files } = await exportRun(this.workspace, { run, out, form: 'adaptor' });
    return files.find((file) => file.endsWith(ADAPTOR))!;
  }
}

const ADAPTOR = 'adaptor.onnx';

function written({ storage, shape, data }: SentTensor): WrittenTensor {
  const { buffer, byteOffset, byteLength } = data;
  return { storage, shape, data: Buffer.from(buffer, byteOffset, byteLength).toString('base64') };
}
