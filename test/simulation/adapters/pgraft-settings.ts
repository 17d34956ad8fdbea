/** Files of a simulated control store hold no settings of users. */
export async function withPgraftSettings<Config>(config: Config): Promise<Config> {
  return config;
}
