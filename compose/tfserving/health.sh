# Exit status 0 while each model that is laid out has a version that is AVAILABLE; with none, while
# the server answers. The image has neither curl nor Python; bash speaks TCP.
ask() {
  exec 3<>/dev/tcp/127.0.0.1/8501 || exit 1
  printf 'GET /v1/models/%s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$1" >&3
  cat <&3
}

shopt -s nullglob
ask "" | grep -q ^HTTP/ || { echo "the server does not answer"; exit 1; }
for folder in /served/*/; do
  name=$(basename "$folder")
  ask "$name" | grep -q AVAILABLE || { echo "$name is not available"; exit 1; }
done
