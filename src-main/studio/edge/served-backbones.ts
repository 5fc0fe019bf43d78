/** Backbones that are on a server: taken into the workspace without their model. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { keepServedBackbone } from '../../backbone/add-backbone.ts';
import { listBackbones, type Backbone } from '../../backbone/catalogue.ts';
import type { Served } from '../../backbone/backbone-file.ts';
import { Failure } from '../../base/failure.ts';
import { parseCard, structureOf, type BackboneCard } from '../../oip/card.ts';
import { OipClient, type RetryOptions } from '../../oip/client.ts';
import type { ServerAccess } from '../../oip/connection.ts';
import { gatheredName } from '../../oip/outputs.ts';
import { modelAddress } from '../../oip/served-at.ts';
import type { SettingsChoice } from '../../training/settings.ts';
import { isSafeName, safeName } from '../../workspace/names.ts';
import type { Workspace } from '../../workspace/workspace.ts';

export interface ServedAccess extends ServerAccess {
  /** A file that tells of the ViT, for servers whose config does not. */
  cardFile?: string;
}

/**
 * The backbone that is served at an address, with what the server offers now. Once it has been taken in, a server that
 * is not there is none the less: features that have been fetched are enough to train on.
 * @param tryFor seconds to go on trying a server that is new: it may just be starting
 * @throws Failure `usage`, `no-card`, `backbone-changed`, and those of `OipClient`
 */
export async function resolveServed(
  workspace: Workspace,
  url: string,
  access: ServedAccess = {},
  tryFor = 10,
): Promise<Backbone> {
  const { server, model } = modelAddress(url);
  const source = `${server}/v2/models/${model}`;
  const all = await listBackbones(workspace);
  const known = all.find((backbone) => backbone.served !== undefined && backbone.source === source);
  const { tokenFile = known?.served?.tokenFile, caFile = known?.served?.caFile, cardFile } = access;
  const files: ServerAccess = {
    ...(tokenFile === undefined ? {} : { tokenFile: resolve(tokenFile) }),
    ...(caFile === undefined ? {} : { caFile: resolve(caFile) }),
  };
  const client = await OipClient.open(server, files);
  try {
    const retry: RetryOptions = { tryFor: known ? 0 : tryFor };
    const { card, served } = await offered(client, model, cardFile, retry);
    if (known && known.sha256 !== card.sha256) throw changed(known);
    const { sha256, preprocessing } = card;
    const name = known?.name ?? freeName(all, model, server);
    return await keepServedBackbone(workspace, {
      name,
      source,
      sha256,
      preprocessing,
      structure: structureOf(card),
      served: { ...served, ...files },
    });
  } catch (error) {
    if (known && error instanceof Failure && error.code === 'server') return known;
    throw error;
  } finally {
    client.close();
  }
}

async function offered(
  client: OipClient,
  model: string,
  cardFile: string | undefined,
  retry: RetryOptions,
): Promise<{ card: BackboneCard; served: Served }> {
  const metadata = await client.metadata(model, retry);
  const card = cardFile === undefined ? await client.card(model, retry) : await readCard(cardFile);
  if (!card)
    throw new Failure(
      'no-card',
      `The server at ${client.server} does not tell what ViT its model ${model} is: give the card that "sidetune edge export-triton" wrote with --backbone-card FILE.`,
    );
  const outputs = new Set(metadata.outputs.map(({ name }) => name));
  const scales = Object.entries(card.scales).filter(([k]) => outputs.has(gatheredName(Number(k), 'fp16')));
  if (scales.length === 0)
    throw new Failure(
      'no-card',
      `Model ${model} at ${client.server} gives no sums of features: serve a repository of "sidetune edge export-triton", or with "sidetune edge serve".`,
    );
  const takesImages = (await client.isReady(`${model}-image`, { ...retry, tryFor: 0 })) && cardFile === undefined;
  return { card, served: { scales: Object.fromEntries(scales), takesImages } };
}

export async function readCard(file: string): Promise<BackboneCard> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new Failure('no-card', `The card "${file}" cannot be read: check that it is there.`, { cause: error });
  });
  try {
    return parseCard(text);
  } catch (error) {
    throw new Failure('no-card', `"${file}" is no card of a backbone: "sidetune edge export-triton" writes one.`, {
      cause: error,
    });
  }
}

/** Its own name, else one with the server's. */
function freeName(all: readonly Backbone[], model: string, server: string): string {
  const taken = new Set(all.map(({ name }) => name));
  const names = [model, safeName(`${model}-${server.replace(/^https?:\/\//, '')}`)];
  const name = names.find((each) => isSafeName(each) && !taken.has(each));
  if (name === undefined)
    throw new Failure(
      'name-taken',
      `The workspace has other backbones called ${names.join(' and ')}: remove one of them first.`,
    );
  return name;
}

function changed({ name, source }: Backbone): Failure {
  return new Failure(
    'backbone-changed',
    `The model at ${source} is no longer the one that was taken in as backbone "${name}": serve the old one there, or remove the entry with "sidetune backbones remove ${name}".`,
  );
}

/**
 * A choice of settings that a served backbone can serve: `upto` is the offered block next to two thirds of them all.
 * @throws Failure `usage` for features that are kept nowhere
 */
export function fitToServed(choice: SettingsChoice, { name, served, structure }: Backbone): SettingsChoice {
  if (!served) return choice;
  if (choice.cache === 'none')
    throw new Failure(
      'usage',
      `Backbone ${name} is on a server, and --cache none would fetch all features in every epoch: use fp16 or int8.`,
    );
  if ((choice.views ?? 1) > 1)
    throw new Failure(
      'usage',
      `Backbone ${name} is on a server, which is sent pictures as they are: leave --views out.`,
    );
  if (choice.method !== 'miet' || choice.upto != null) return choice;
  const best = (2 * structure.blocks) / 3;
  const [upto] = Object.keys(served.scales)
    .map(Number)
    .sort((a, b) => Math.abs(a - best) - Math.abs(b - best));
  return { ...choice, upto };
}
