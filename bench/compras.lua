-- Every request buys another token: users and tokens are spread so that no balance and no token refuses. TOKENS names a file with
-- the session's token of each of the first BUYERS users, in a line of its own.
local n, users = 0, tonumber(os.getenv("BUYERS") or 1000)
local plain = { ["content-type"] = "application/json" }
local headers = {}

function init(args)
  n = tonumber(args[1])
  local tokens = os.getenv("TOKENS")
  if tokens then
    for token in io.lines(tokens) do
      headers[#headers + 1] = { ["content-type"] = "application/json", authorization = "Bearer " .. token }
    end
  end
end

function request()
  n = n + 1
  local user = n % users + 1
  local body = string.format('{"usuarioId":%d,"tokenId":%d}', user, n)
  return wrk.format("POST", "/transacciones", headers[user] or plain, body)
end
