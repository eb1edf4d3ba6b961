-- The health of every kind of llmgov.dev. Degraded needs somebody: the resource is not accepted, or another one holds it
-- back. An exhausted Budget is Healthy, since it does what it is for, and says so.
local generation = obj.metadata.generation
local status = obj.status

if status == nil or status.observedGeneration ~= generation then
  return { status = "Progressing", message = "The operator has not seen generation " .. tostring(generation) .. " yet" }
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local accepted, ready, exhausted = conditions.Accepted, conditions.Ready, conditions.Exhausted

if accepted ~= nil and accepted.status == "False" then
  return { status = "Degraded", message = accepted.message }
end
if ready == nil then
  return { status = "Progressing", message = "The operator has not said whether it is ready" }
end
if ready.status ~= "True" then
  return { status = ready.reason == "HeldBack" and "Degraded" or "Progressing", message = ready.message }
end
if exhausted ~= nil and exhausted.status == "True" then
  return { status = "Healthy", message = exhausted.message }
end
return { status = "Healthy", message = ready.message }
