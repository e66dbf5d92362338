import type { VirtualConnectorCoordinator } from '@dynamo/internal';
import type { Connector } from './connector.ts';

/** Hands decisions to whoever deploys, over the virtual connector (spec planner 1). The coordinator is the caller's. */
export const virtualConnector = (coordinator: VirtualConnectorCoordinator): Connector => ({
  get wanted() {
    const { prefill, decode } = coordinator.readState();
    return { prefill, decode };
  },
  async scale(counts) {
    await coordinator.updateScalingDecision(counts);
  },
  async [Symbol.asyncDispose]() {},
});
