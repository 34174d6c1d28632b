// Estimates N rows of vCPU hours with Cloud Carbon Footprint's own estimator and prints how long that took.
const { ComputeEstimator } = require('@cloud-carbon-footprint/core')

const rows = Number(process.argv[2])
const timestamp = new Date('2025-06-01T00:00:00Z')
const usage = Array.from({ length: rows }, (_, i) => ({
  cpuUtilizationAverage: 50,
  vCpuHours: 1 + (i % 1000) / 8,
  usesAverageCPUConstant: true,
  timestamp,
}))
const constants = { minWatts: 0.74, maxWatts: 3.5, powerUsageEffectiveness: 1.135, replicationFactor: 1 }
const begin = process.hrtime.bigint()
const estimates = new ComputeEstimator().estimate(usage, 'eu-central-1', { 'eu-central-1': 0.000338 }, constants)
const seconds = Number(process.hrtime.bigint() - begin) / 1e9
const tonnes = estimates.reduce((sum, one) => sum + one.co2e, 0)
if (estimates.length !== rows || !(tonnes > 0)) throw new Error(`${estimates.length} rows, ${tonnes} t`)
process.stdout.write(JSON.stringify({ seconds, tonnes }))
