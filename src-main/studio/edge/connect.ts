/** Backbones on servers, as the window finds them and takes them in. */
import { listBackbones } from '../../backbone/catalogue.ts';
import { Failure } from '../../base/failure.ts';
import { OipClient, type RetryOptions } from '../../oip/client.ts';
import { gatheredName } from '../../oip/outputs.ts';
import { modelAddress, serverAddress } from '../../oip/served-at.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import type { BackboneCard } from '../../oip/card.ts';
import { readCard, resolveServed } from './served-backbones.ts';
import { withToken } from './server-tokens.ts';

/** A backbone that a server offers. */
export interface OfferedBackbone {
  /** Of its model on the server. */
  url: string;
  name: string;
  blocks: number;
  width: number;
  tokens: number;
  /** Blocks that sums are given up to. */
  upto: number[];
  /** Whether pictures can be sent as they are. */
  takesImages: boolean;
  /** Its name in the workspace, where it has been taken in. */
  known: string | null;
}

/** A backbone of the workspace that is on a server. */
export interface ConnectedBackbone {
  name: string;
  url: string;
  blocks: number;
  upto: number[];
  takesImages: boolean;
}

export interface ServerRequest {
  /** Of the server, or of a model on it. */
  url: string;
  /** Kept once it has been taken; that of the file, else the one that is kept, when left out. */
  token?: string;
  tokenFile?: string;
  /** The certificate to check the server's by. */
  caFile?: string;
  /** What ViT it has, where it does not tell. */
  cardFile?: string;
}

/** A person waits for the answer. */
const RETRY: RetryOptions = { tryFor: 0 };
/** Seconds to go on trying a server that has just been looked at. */
const TRY_FOR = 3;

/**
 * The backbones that a server offers.
 * @throws Failure `usage`, `token`, `no-card` where it offers none, and those of `OipClient`
 */
export async function lookAtServer(
  workspace: Workspace,
  { url, caFile, cardFile, ...word }: ServerRequest,
): Promise<OfferedBackbone[]> {
  const { server, model } = serverAddress(url);
  const card = cardFile === undefined ? undefined : await readCard(cardFile);
  const known = (await listBackbones(workspace)).filter(({ served }) => served);
  const offered = await withToken(workspace, server, word, async (access) => {
    const client = await OipClient.open(server, { ...access, caFile });
    try {
      const found: OfferedBackbone[] = [];
      for (const name of model === undefined ? await client.models(RETRY) : [model]) {
        const one = await offeredBy(client, name, card);
        if (one) found.push({ ...one, known: known.find(({ source }) => source === one.url)?.name ?? null });
      }
      return found;
    } finally {
      client.close();
    }
  });
  if (offered.length > 0) return offered;
  throw new Failure(
    'no-card',
    `The server at ${server} offers no backbone, or does not tell of it: start one with "sidetune edge serve", or serve a repository of "sidetune edge export-triton" and give the card that lies in it.`,
  );
}

/**
 * Takes a served model into the workspace as a backbone. @returns its name there
 * @throws Failure of `resolveServed`
 */
export async function connectBackbone(
  workspace: Workspace,
  { url, caFile, cardFile, ...word }: ServerRequest,
): Promise<string> {
  const { server } = modelAddress(url);
  return withToken(workspace, server, word, async (access) => {
    const { name } = await resolveServed(workspace, url, { ...access, caFile, cardFile }, TRY_FOR);
    return name;
  });
}

export async function listConnected(workspace: Workspace): Promise<ConnectedBackbone[]> {
  return (await listBackbones(workspace)).flatMap(({ name, source, structure, served }) =>
    served
      ? [
          {
            name,
            url: source,
            blocks: structure.blocks,
            upto: Object.keys(served.scales).map(Number),
            takesImages: served.takesImages,
          },
        ]
      : [],
  );
}

/**
 * Undefined for models that are no backbones, and for those that take a backbone's pictures.
 * @param known what ViT the server has, where its config does not tell
 */
async function offeredBy(
  client: OipClient,
  model: string,
  known: BackboneCard | undefined,
): Promise<Omit<OfferedBackbone, 'known'> | undefined> {
  const card = (await client.card(model, RETRY)) ?? known;
  if (!card || model === `${card.name}-image`) return undefined;
  const outputs = new Set((await client.metadata(model, RETRY)).outputs.map(({ name }) => name));
  const upto = Object.keys(card.scales)
    .map(Number)
    .filter((k) => outputs.has(gatheredName(k, 'fp16')));
  // Another model, which the card is not of.
  if (upto.length === 0) return undefined;
  const { blocks, width, tokens } = card.structure;
  const takesImages = await client.isReady(`${model}-image`, RETRY);
  return {
    url: `${client.server}/v2/models/${model}`,
    ...{ name: model, blocks, width, tokens, upto, takesImages },
  };
}
