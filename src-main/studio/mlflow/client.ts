/** The part of MLflow's REST API (2.0) by which runs are written and found again. */
import { z } from 'zod';
import { errorCode } from '../../workspace/atomic.ts';
import { Failure } from '../../base/failure.ts';

export interface MlflowMetric {
  key: string;
  value: number;
  /** Milliseconds since 1970. */
  timestamp: number;
  step: number;
}
export type MlflowStatus = 'RUNNING' | 'FINISHED' | 'FAILED' | 'KILLED';
export type Words = Readonly<Record<string, string>>;

/** A run as the server has it. */
export interface MlflowRun {
  id: string;
  status: string;
  tags: Words;
  /** Of each metric the newest. */
  metrics: Readonly<Record<string, number>>;
}

const pairs = z.array(z.object({ key: z.string(), value: z.string() })).default([]);
const runSchema = z.object({
  info: z.object({ run_id: z.string(), status: z.string() }),
  // Whatever is empty is left out.
  data: z
    .object({ tags: pairs, metrics: z.array(z.object({ key: z.string(), value: z.number() })).default([]) })
    .prefault({}),
});
const experimentSchema = z.object({ experiment_id: z.string(), lifecycle_stage: z.string() });
const errorSchema = z.object({ error_code: z.string(), message: z.string().default('') });

/** What the server takes in one request. */
const MOST_METRICS = 800;
const MOST_WORDS = 100;
const LONGEST_WORD = 5000;
const PAGE = 1000;
const PATIENCE_MS = 60_000;

/** An error that the server itself has named. */
class Refused extends Failure {
  constructor(
    readonly reason: string,
    sentence: string,
  ) {
    super('mlflow', sentence);
  }
}

export class MlflowClient {
  /** Without a slash at its end. */
  readonly uri: string;
  private readonly authorization: Record<string, string>;

  /**
   * Of a server at an address. As with MLflow's own client, MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and
   * MLFLOW_TRACKING_PASSWORD, say who one is.
   * @throws Failure `usage`
   */
  constructor(
    uri: string,
    private readonly signal?: AbortSignal,
    environment: NodeJS.ProcessEnv = process.env,
  ) {
    this.uri = mlflowAddress(uri);
    this.authorization = authorizationIn(environment);
  }

  /** The id of an experiment, which is made where there is none. @throws Failure `mlflow` */
  async experiment(name: string): Promise<string> {
    const query = `experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`;
    try {
      const { experiment } = await this.ask('GET', query, z.object({ experiment: experimentSchema }));
      if (experiment.lifecycle_stage === 'active') return experiment.experiment_id;
    } catch (error) {
      if (!(error instanceof Refused) || error.reason !== 'RESOURCE_DOES_NOT_EXIST') throw error;
      const made = await this.ask('POST', 'experiments/create', z.object({ experiment_id: z.string() }), { name });
      return made.experiment_id;
    }
    throw new Failure(
      'mlflow',
      `The experiment "${name}" was deleted on the MLflow server at ${this.uri}: restore it there, or name another.`,
    );
  }

  /** All runs of an experiment that have a tag of this value. @throws Failure `mlflow` */
  async runsWith(experiment: string, tag: string, value: string): Promise<MlflowRun[]> {
    const reply = z.object({ runs: z.array(runSchema).default([]), next_page_token: z.string().optional() });
    const found: MlflowRun[] = [];
    const filter = `tags.\`${tag}\` = '${value.replaceAll("'", '')}'`;
    for (let page: string | undefined; ;) {
      const asked = { experiment_ids: [experiment], filter, max_results: PAGE, page_token: page };
      const { runs, next_page_token: next } = await this.ask('POST', 'runs/search', reply, asked);
      found.push(...runs.map(runOf));
      if (!next) return found;
      page = next;
    }
  }

  /** @param started milliseconds since 1970 @throws Failure `mlflow` */
  async createRun(experiment: string, name: string, started: number, tags: Words): Promise<MlflowRun> {
    const asked = { experiment_id: experiment, run_name: name, start_time: started, tags: listed(tags) };
    return runOf((await this.ask('POST', 'runs/create', z.object({ run: runSchema }), asked)).run);
  }

  /**
   * Parameters, then metrics, then tags: whoever finds the tags finds all the rest.
   * @throws Failure `mlflow`, also where a parameter has another value there
   */
  async log(run: string, params: Words, metrics: readonly MlflowMetric[], tags: Words): Promise<void> {
    const batch = (content: object) => this.ask('POST', 'runs/log-batch', z.object({}), { run_id: run, ...content });
    for (const some of chunks(listed(params), MOST_WORDS)) await batch({ params: some });
    for (const some of chunks(metrics, MOST_METRICS)) await batch({ metrics: some });
    for (const some of chunks(listed(tags), MOST_WORDS)) await batch({ tags: some });
  }

  /** @param ended milliseconds since 1970; left out of a run that goes on @throws Failure `mlflow` */
  async setStatus(run: string, status: MlflowStatus, ended?: number): Promise<void> {
    await this.ask('POST', 'runs/update', z.object({}), { run_id: run, status, end_time: ended });
  }

  /** Where a run is shown. */
  pageOf(experiment: string, run: string): string {
    return `${this.uri}/#/experiments/${experiment}/runs/${run}`;
  }

  private async ask<T>(method: 'GET' | 'POST', path: string, reply: z.ZodType<T>, body?: object): Promise<T> {
    this.signal?.throwIfAborted();
    const patience = AbortSignal.timeout(PATIENCE_MS);
    let status: number;
    let text: string;
    try {
      const response = await fetch(`${this.uri}/api/2.0/mlflow/${path}`, {
        method,
        headers: { ...this.authorization, ...(body ? { 'content-type': 'application/json' } : {}) },
        body: body && JSON.stringify(body),
        signal: this.signal ? AbortSignal.any([this.signal, patience]) : patience,
      });
      ({ status } = response);
      text = await response.text();
    } catch (error) {
      this.signal?.throwIfAborted();
      const cause = error instanceof Error ? error.cause : undefined;
      const why = patience.aborted ? 'nothing came for a minute' : errorCode(cause) || 'no connection';
      throw new Failure(
        'mlflow',
        `The MLflow server at ${this.uri} does not answer (${why}): check that it runs and that the address is right; asked again, it goes on with what is not there yet.`,
        { cause: error },
      );
    }
    if (status === 401 || status === 403)
      throw new Failure(
        'mlflow',
        `The MLflow server at ${this.uri} wants to know who asks (${status}): set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.`,
      );
    const content = parsed(text);
    const refusal = status >= 400 ? errorSchema.safeParse(content).data : undefined;
    if (refusal)
      throw new Refused(
        refusal.error_code,
        `The MLflow server at ${this.uri} refused ${path.split('?')[0]}: ${refusal.error_code}${refusal.message ? `, ${firstLine(refusal.message)}` : ''}.`,
      );
    const checked = reply.safeParse(content);
    if (status >= 400 || !checked.success)
      throw new Failure(
        'mlflow',
        `What answers at ${this.uri} does not speak as an MLflow server does (status ${status} for ${path.split('?')[0]}): check the address.`,
      );
    return checked.data;
  }
}

/** The address of a server, without a slash at its end. @throws Failure `usage` where it is none */
export function mlflowAddress(typed: string): string {
  const uri = typed.trim();
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  // It is shown, and remembered.
  if (url?.username || url?.password)
    throw new Failure(
      'usage',
      'Leave user and password out of the address of the MLflow server: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the environment say them.',
    );
  if (url && /^https?:$/.test(url.protocol)) return uri.replace(/\/+$/, '');
  throw new Failure(
    'usage',
    `"${uri}" is not the address of an MLflow server, such as http://127.0.0.1:5000: start one over your store with "mlflow server".`,
  );
}

function authorizationIn(environment: NodeJS.ProcessEnv): Record<string, string> {
  const { MLFLOW_TRACKING_TOKEN: token, MLFLOW_TRACKING_USERNAME: user } = environment;
  const { MLFLOW_TRACKING_PASSWORD: password = '' } = environment;
  if (user) return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
  return token ? { authorization: `Bearer ${token}` } : {};
}

function runOf({ info, data }: z.infer<typeof runSchema>): MlflowRun {
  const tags = Object.fromEntries(data.tags.map(({ key, value }) => [key, value]));
  const metrics = Object.fromEntries(data.metrics.map(({ key, value }) => [key, value]));
  return { id: info.run_id, status: info.status, tags, metrics };
}

function listed(words: Words): { key: string; value: string }[] {
  return Object.entries(words).map(([key, value]) => ({ key, value: value.slice(0, LONGEST_WORD) }));
}

function chunks<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, index) =>
    list.slice(index * size, (index + 1) * size),
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function firstLine(text: string): string {
  return text
    .trim()
    .split('\n')[0]!
    .replace(/[.\s]+$/, '');
}
