/** From the sections `policy` and `nat` to flows in the syntax of ovs-ofctl, one a line, table by table. */
import { questionFlows, routerArpFlows } from './arp.ts';
import { decisionFlows, entryFlows, outputFlows, protocolFlows, trackedFlows } from './bridge.ts';
import { commitFlows } from './commit.ts';
import { planOf, type Sections } from './plan.ts';
import { originFlows, ownFlows, routedFlows, routeFlows } from './router.ts';
import { ruleFlows } from './rules.ts';

/** `sections` are some that `checkPolicy` has found no fault with. */
export function compilePolicy(sections: Sections): string {
  const plan = planOf(sections);
  const { router, mostMacs } = plan;
  const flows = [
    ...entryFlows(plan),
    ...(router ? [...routerArpFlows(router, mostMacs), ...originFlows(router)] : []),
    ...protocolFlows(plan),
    ...trackedFlows(plan),
    ...(router ? [...ownFlows(router), ...routeFlows(router), ...routedFlows()] : []),
    ...decisionFlows(plan),
    ...ruleFlows(plan),
    ...commitFlows(plan),
    ...outputFlows(plan),
    ...questionFlows(plan),
  ];
  return flows.join('\n');
}
