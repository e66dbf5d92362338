/** A model as workers publish it and frontends read it (spec llm 1.3). */
export interface ModelDeploymentCard {
  readonly name: string;
  readonly contextLength: number;
}
