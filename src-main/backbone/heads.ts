import { fold } from './fold.ts';
import { intAttribute } from './graph.ts';
import type { Graph } from './graph.ts';
import { branchNodes } from './residual-chain.ts';
import type { Residual } from './residual-chain.ts';

/**
 * Attention heads of a block, from the shape that its queries are reshaped to ([.., heads, width / heads]);
 * null where the graph does not say.
 */
export function countHeads(graph: Graph, attention: Residual, width: number): number | null {
  const nodes = branchNodes(graph, attention);
  for (const node of nodes) {
    const stated = intAttribute(node, 'num_heads', 0) || intAttribute(node, 'q_num_heads', 0);
    if (stated > 0 && width % stated === 0) return stated;
  }
  const softmax = [...nodes].find((node) => node.opType === 'Softmax');
  if (!softmax?.input[0]) return null;
  for (const node of graph.nodesBehind(softmax.input[0], new Set([attention.skip]), graph.position(attention.skip))) {
    if (node.opType !== 'Reshape' || !node.input[1]) continue;
    const shape = fold(graph, node.input[1])?.values;
    if (!shape || shape.length < 4) continue;
    const perHead = shape.at(-1);
    const heads = shape.at(-2);
    if (heads && heads > 0 && width % heads === 0 && (!perHead || perHead < 0 || heads * perHead === width)) {
      return heads;
    }
    if (perHead && perHead > 0 && width % perHead === 0) return width / perHead;
  }
  return null;
}
