# In an image's last stage, as root: takes out caches, manuals, translations and what installs Python
# packages; licences and Debian's package list stay. Compiles Python's own library, which the official
# images leave out: a container that may write nothing would compile it again at every start.
set -eu
python=$(command -v python3)
library=$("$python" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

rm -rf /opt/* /root/.cache /var/cache/* /var/lib/apt/lists/* /var/log/* \
  /usr/share/info/* /usr/share/locale/* /usr/share/man/*
find /usr/share/doc -type f ! -name copyright -delete

dpkg-query -W -f '${Package}\n' 'python3*-pip*' 'python3*-setuptools*' 'python3*-venv' python3-wheel \
  2>/dev/null | xargs -r dpkg --purge --force-depends
for package in pip setuptools wheel; do
  rm -rf "$packages/$package" "$packages/$package"-*.dist-info
done
rm -rf "$packages/_distutils_hack" "$packages/distutils-precedence.pth" "$packages/pkg_resources" \
  "$library/ensurepip" /usr/local/bin/pip* /usr/local/bin/wheel*

"$python" -m compileall -q -x '/(test|tests|idlelib|lib2to3|turtledemo|site-packages|dist-packages)/' "$library"
