-- Every request buys another token: users and tokens are spread so that no balance and no token refuses.
local n, users = 0, 1000
local headers = { ["content-type"] = "application/json" }

function init(args)
  n = tonumber(args[1])
end

function request()
  n = n + 1
  local body = string.format('{"usuarioId":%d,"tokenId":%d}', n % users + 1, n)
  return wrk.format("POST", "/transacciones", headers, body)
end
